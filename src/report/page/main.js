// Puts the charts into the page.
showFigures('search', searchFigures());
showFigures('curves', curveFigures());
showFigures('labels', labelFigures());
showFigures('gpus', [timelineFigure()]);
selectionListeners.push(() => figures.filter(figure => figure.parts.follows).forEach(figure => figure.draw()));
