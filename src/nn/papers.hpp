// The papers that networks come from, one line each: authors, title, venue, year. Named by the rows of models.def.
#pragma once

namespace regatta::papers {

constexpr const char* kVoxelmorph =
    "Balakrishnan, Zhao, Sabuncu, Guttag, Dalca: VoxelMorph: a learning framework for deformable medical image "
    "registration. IEEE Transactions on Medical Imaging 38(8), 2019";
constexpr const char* kVoxelmorphDiff =
    "Dalca, Balakrishnan, Guttag, Sabuncu: Unsupervised learning of probabilistic diffeomorphic registration for "
    "images "
    "and surfaces. Medical Image Analysis 57, 2019";
constexpr const char* kTransmorph =
    "Chen, Frey, He, Segars, Li, Du: TransMorph: transformer for unsupervised medical image registration. Medical "
    "Image "
    "Analysis 82, 2022";
constexpr const char* kLkunet =
    "Jia, Bartlett, Zhang, Lu, Qiu, Duan: U-Net vs Transformer: is U-Net outdated in medical image registration? "
    "Machine "
    "Learning in Medical Imaging (MICCAI workshop), 2022";
constexpr const char* kSymnet =
    "Mok, Chung: Fast symmetric diffeomorphic image registration with convolutional neural networks. CVPR, 2020";
constexpr const char* kFourierNet =
    "Jia, Bartlett, Chen, Song, Zhang, Cheng, Lu, Qiu, Duan: Fourier-Net: fast image registration with band-limited "
    "deformation. AAAI, 2023";
constexpr const char* kVfa =
    "Liu, Chen, Zuo, Carass, Prince: Vector field attention for deformable image registration. Journal of Medical "
    "Imaging "
    "11(6), 2024";

}  // namespace regatta::papers
