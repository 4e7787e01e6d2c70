// How the search went: history, importance, parallel coordinates, one slice for each axis; pareto.js has the front.
const scored = report.trials.filter(trial => number(trial.objective) !== null);
const lost = report.trials.filter(hasFailed);
const pointHint = trial => hint(trial.name, setting(trial),
  number(trial.objective) === null ? trial.status : `${titleOf(metric)} ${text(trial.objective)}`);

// A mark for a trial: dimmed where something else is selected. A ring instead of a disc for what is out.
function mark(trial, value, isRing = false) {
  const selected = isSelected(trial);
  const place = placeOf(trial);
  return {
    value, name: trial.name,
    symbolSize: place > 0 ? 11 : 8,
    itemStyle: { color: isRing ? css('--paper') : colourOf(trial), opacity: selected ? (place > 0 ? 0.95 : 0.7) : 0.12,
      borderColor: isRing ? colourOf(trial) : css('--paper'), borderWidth: isRing ? 2 : 1 },
  };
}
const marksTooltip = () => ({ ...baseOption().tooltip, trigger: 'item', formatter: item => (trialByName.has(item.name) ? pointHint(trialByName.get(item.name)) : '') });

function historyFigure() {
  const rows = report.history.filter(row => number(row.objective) !== null);
  if (rows.length === 0) return null;
  const several = report.ranking.some(point => point.trials.length > 1);
  const best = several ? 'mean of the point that stood first' : 'best so far';
  return new Figure({
    title: several ? `Each trial's ${metric}, and the ${best}` : `${metric} of each trial, and the best so far`, follows: true, wide: !report.importance || report.importance.axes.length === 0,
    option: () => ({
      xAxis: xAxis('finished trials', { min: 0, max: rows.length + 1, minInterval: 1 }),
      yAxis: yAxis(titleOf(metric)),
      tooltip: marksTooltip(),
      series: [
        { type: 'line', step: 'end', symbol: 'none', silent: true, lineStyle: { color: css('--k1'), width: 2 },
          data: rows.map((row, i) => [i + 1, number(row.best)]) },
        { type: 'scatter', data: rows.map((row, i) => mark(trialByName.get(row.trial), [i + 1, row.objective])) },
      ],
    }),
    table: () => ({ head: ['order', 'trial', titleOf(metric), best],
      rows: rows.map((row, i) => [i + 1, row.trial, row.objective, number(row.best)]) }),
  });
}

function axisScale(axis) {
  const numeric = isNumeric(axis);
  const names = numeric ? [] : Array.from(new Set(report.trials.map(trial => text(trial.axes[axis.pointer])))).sort();
  const log = numeric && axis.scale === 'log' && report.trials.every(trial => !(trial.axes[axis.pointer] <= 0));
  const valueOf = trial => (numeric ? number(trial.axes[axis.pointer]) : text(trial.axes[axis.pointer]));
  return { names, log, valueOf, type: numeric ? (log ? 'log' : 'value') : 'category' };
}

function sliceFigure(axis) {
  const { names, log, valueOf, type } = axisScale(axis);
  const shown = scored.filter(trial => valueOf(trial) !== null);
  if (shown.length === 0) return null;
  const gone = lost.filter(trial => valueOf(trial) !== null);
  return new Figure({
    title: `${metric} against ${axis.label}`, follows: true,
    option: () => {
      const low = Math.min(...shown.map(trial => trial.objective));
      const high = Math.max(...shown.map(trial => trial.objective));
      const floor = low - 0.06 * (high - low || Math.abs(high) || 1);
      const values = shown.concat(gone).map(valueOf);
      const span = log ? { min: Math.min(...values) / 1.2, max: Math.max(...values) * 1.2 } : {};
      const ends = log ? { showMinLabel: false, showMaxLabel: false } : {};
      return {
        xAxis: xAxis(axis.label, { type, data: names, scale: true, jitter: type === 'category' ? 40 : 0, ...span,
          axisLabel: { ...axisStyle().axisLabel, ...ends, formatter: value => (type === 'category' ? value : text(value, 3)) } }),
        yAxis: yAxis(titleOf(metric)),
        tooltip: marksTooltip(),
        series: [
          { type: 'scatter', data: shown.map(trial => mark(trial, [valueOf(trial), trial.objective])) },
          { type: 'scatter', symbol: 'path://M1 0L5 4L9 0L10 1L6 5L10 9L9 10L5 6L1 10L0 9L4 5L0 1Z',
            data: gone.map(trial => ({ value: [valueOf(trial), floor], name: trial.name, symbolSize: 9,
              itemStyle: { color: css('--bad'), opacity: isSelected(trial) ? 0.9 : 0.15 } })) },
        ],
      };
    },
    note: () => (gone.length > 0 ? `× at the bottom: ${gone.length} failed` : ''),
    table: () => ({ head: ['trial', axis.label, titleOf(metric), 'status'],
      rows: shown.concat(gone).map(trial => [trial.name, valueOf(trial), number(trial.objective), trial.status]) }),
  });
}

// Brushing an axis selects points everywhere: in the leaderboard, the slices and the curves.
function parallelFigure() {
  const points = report.ranking.filter(point => number(point.objective.mean) !== null);
  const axes = report.axes.filter(axis => points.length > 0 && axis.pointer in points[0].axes);
  if (points.length < 2 || axes.length === 0) return null;
  const scales = axes.map(axis => axisScale(axis));
  points.reverse();  // the best are drawn last, on top
  const rows = points.map(point => scales.map(scale => scale.valueOf(point)).concat(point.objective.mean));
  const means = ascending(points.map(point => point.objective.mean));
  const clear = element('button', { type: 'button', textContent: 'select all', hidden: true });
  const said = element('span', { className: 'soft', textContent: 'drag along an axis to select points; a click on it clears' });
  let figure = null;
  const show = keys => {
    select('brush', keys);
    rowFilters.forEach(filter => filter.select(keys));
    clear.hidden = keys === null;
    said.textContent = keys === null ? 'drag along an axis to select points; a click on it clears' : `${keys.size} of ${points.length} points selected`;
  };
  clear.addEventListener('click', () => { show(null); figure.draw(); });
  const parallelAxis = (name, dim, scale) => ({
    dim, name, type: scale.type, data: scale.type === 'category' ? scale.names : undefined, scale: true,
    nameTextStyle: { color: css('--ink'), fontSize: 13 }, nameTruncateLength: 20,
    axisLine: { lineStyle: { color: css('--axis') } },
    axisLabel: { color: css('--soft'), formatter: value => text(scale.type === 'category' ? value : Number(value), 3) },
    areaSelectStyle: { width: 18, borderColor: css('--k1'), color: css('--k1'), opacity: 0.25 },
    ...(scale.type === 'log' ? {
      min: Math.min(...points.map(scale.valueOf).filter(value => value !== null)),
      max: Math.max(...points.map(scale.valueOf).filter(value => value !== null)),
    } : {}),
  });
  figure = new Figure({
    title: `Parallel coordinates: each line is a point, coloured by its ${metric}`,
    wide: true, height: 360, controls: [said, clear],
    option: () => ({
      parallel: { left: 50, right: 90, top: 40, bottom: 24 },
      parallelAxis: axes.map((axis, i) => parallelAxis(axis.label, i, scales[i]))
        .concat(parallelAxis(titleOf(metric), axes.length, { type: 'value', valueOf: point => point.objective.mean })),
      visualMap: { type: 'continuous', show: false, dimension: axes.length, min: quantile(means, 0.05), max: means[means.length - 1],
        inRange: { color: maximise ? ramp() : ramp().reverse() } },
      tooltip: { ...baseOption().tooltip, trigger: 'item', formatter: item => hint(points[item.dataIndex].trials.join(', '),
        ...axes.map(axis => `${axis.label} ${text(points[item.dataIndex].axes[axis.pointer])}`), `${titleOf(metric)} ${text(item.value[axes.length])}`) },
      series: [{ type: 'parallel', data: rows, smooth: 0.15, lineStyle: { width: points.length > 100 ? 1.1 : 1.6, opacity: points.length > 100 ? 0.45 : 0.7 }, inactiveOpacity: 0.06,
        emphasis: { lineStyle: { width: 4, opacity: 1 } } }],
    }),
    table: () => ({ head: ['rank', 'trials', ...axes.map(axis => axis.label), titleOf(metric)],
      rows: points.map((point, i) => [point.rank, point.trials.join(', '), ...rows[i]]).reverse() }),
    onReady: chart => chart.on('axisareaselected', () => {
      const series = chart.getModel().getSeriesByIndex(0);
      const active = series.getRawIndicesByActiveState('active');
      const normal = series.getRawIndicesByActiveState('normal');
      show(normal.length === points.length ? null : new Set(active.map(i => keyOf(points[i]))));
    }),
  });
  return figure;
}
const ramp = () => ['--ramp0', '--ramp1', '--ramp2', '--ramp3'].map(css);

// The share of each axis, where the report could find it.
function importanceFigure() {
  const found = report.importance;
  if (!found || found.axes.length === 0) return null;
  const labels = new Map(report.axes.map(axis => [axis.pointer, axis.label]));
  const rows = found.axes.map(row => ({ label: labels.get(row.pointer) || row.pointer, value: number(row.importance) })).reverse();
  return new Figure({
    title: `How much each axis decides whether ${metric} is among the best`,
    option: () => ({
      grid: { ...baseOption().grid, right: 56 },
      xAxis: xAxis('share', { min: 0 }), yAxis: { type: 'category', data: rows.map(row => row.label), ...axisStyle(), splitLine: { show: false } },
      tooltip: { ...baseOption().tooltip, formatter: item => hint(rows[item.dataIndex].label, text(item.value)) },
      series: [{ type: 'bar', data: rows.map(row => row.value), itemStyle: { color: css('--k1') }, barMaxWidth: 26,
        label: { show: true, position: 'right', color: css('--ink'), formatter: item => text(item.value, 2) } }],
    }),
    note: () => found.warning || '',
    table: () => ({ head: ['axis', 'share'], rows: rows.slice().reverse().map(row => [row.label, row.value]) }),
  });
}

const searchFigures = () => [historyFigure(), importanceFigure(), paretoFigure(), parallelFigure(), ...report.axes.map(sliceFigure)];
