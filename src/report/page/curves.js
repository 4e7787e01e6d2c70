// Learning curves: which trials, smoothing, logarithmic scale, a range that diverged trainings do not spoil.
const smoothed = (values, weight) => {
  // An exponential mean that begins without bias, as TensorBoard's.
  let last = 0;
  let count = 0;
  return values.map(value => {
    if (value === null) return null;
    last = last * weight + (1 - weight) * value;
    count += 1;
    return last / (1 - weight ** count);
  });
};

// Trials by their point's rank, those that have failed last.
function rankedTrials() {
  const order = new Map();
  report.ranking.forEach((point, i) => point.trials.forEach(name => order.set(name, i)));
  return report.trials.filter(trial => trial.curves.validation.step.length + trial.curves.train_loss.step.length > 0)
    .sort((a, b) => hasFailed(a) - hasFailed(b) || order.get(a.name) - order.get(b.name));
}

// What the better half of the trainings have in common; lines are best last. The good side of the metric is never cut.
function robustRange(lines, goodSide) {
  const sound = lines.filter(line => !hasFailed(line.trial));
  const ends = sound.slice(-Math.max(3, Math.ceil(sound.length / 2))).map(line => {
    const sorted = ascending(line.y.filter(value => value !== null));
    return sorted.length === 0 ? null : [quantile(sorted, 0.02), quantile(sorted, 0.98)];
  }).filter(end => end !== null);
  if (ends.length === 0) return null;
  const farthest = (values, side) => {
    if (side === goodSide) return side > 0 ? Math.max(...values) : Math.min(...values);
    const middle = quantile(ascending(values), 0.5);
    const spread = quantile(ascending(values.map(value => Math.abs(value - middle))), 0.5);
    const limit = middle + side * (8 * spread + 0.02 * Math.abs(middle));
    return side > 0 ? Math.max(...values.filter(value => value <= limit)) : Math.min(...values.filter(value => value >= limit));
  };
  const low = farthest(ends.map(end => end[0]), -1);
  const high = farthest(ends.map(end => end[1]), 1);
  const margin = 0.05 * (high - low || Math.abs(high) || 1);
  return [low - margin, high + margin];
}

function curveFigures() {
  const ranked = rankedTrials();
  if (ranked.length === 0) return [];
  const made = [];
  const draw = () => made.forEach(figure => figure.draw());
  const counts = [10, 25, 100].filter(count => count < ranked.length).map(count => [String(count), `the best ${count}`]);
  const which = choice('trials', [...counts, ['all', `all ${ranked.length}`]], draw);
  which.control.value = ranked.length > 25 ? '25' : 'all';
  const weight = element('input', { type: 'range', min: 0, max: 0.98, step: 0.02, value: 0 });
  weight.addEventListener('input', draw);
  const log = tick('logarithmic', false, draw);
  const robust = tick('robust range', true, draw);

  const shownTrials = () => {
    const chosen = nothingSelected() ? ranked : ranked.filter(isSelected);
    return which.control.value === 'all' ? chosen : chosen.slice(0, Number(which.control.value));
  };
  const linesOf = name => shownTrials().map(trial => {
    const curve = trial.curves[name];
    const values = curve.value.map(value => (log.control.checked && !(value > 0) ? null : number(value)));
    return { trial, x: curve.step, y: smoothed(values, Number(weight.value)) };
  }).filter(line => line.x.length > 0).reverse();  // the best are drawn last, on top
  const figure = (name, title, label, goodSide) => new Figure({
    title, height: 360,
    option: () => {
      const lines = linesOf(name);
      const range = robust.control.checked ? robustRange(lines, goodSide) : null;
      return {
        xAxis: xAxis('step', { min: 0, max: 'dataMax' }),
        yAxis: yAxis(label, { type: log.control.checked ? 'log' : 'value',
          min: range === null || (log.control.checked && range[0] <= 0) ? undefined : range[0], max: range === null ? undefined : range[1],
          axisLabel: { ...axisStyle().axisLabel, showMinLabel: range === null, showMaxLabel: range === null, formatter: value => text(value, 3) } }),
        tooltip: { ...baseOption().tooltip, trigger: 'axis', axisPointer: { type: 'line', lineStyle: { color: css('--axis') } },
          formatter: items => curveHint(items, lines) },
        series: lines.map(line => ({
          type: 'line', name: line.trial.name, symbol: 'circle', symbolSize: 4, showSymbol: line.x.length < 3, triggerLineEvent: true, connectNulls: false,
          lineStyle: { color: colourOf(line.trial), width: placeOf(line.trial) === 0 ? 1.1 : 2, type: hasFailed(line.trial) ? 'dashed' : 'solid' },
          itemStyle: { color: colourOf(line.trial) },
          emphasis: { focus: 'series', lineStyle: { width: 3 } }, blur: { lineStyle: { opacity: 0.15 } },
          data: line.x.map((step, i) => [step, line.y[i]]),
        })),
      };
    },
    note: () => outsideText(linesOf(name), robust.control.checked ? robustRange(linesOf(name), goodSide) : null),
    table: () => ({ head: ['trial', 'setting', 'values', 'first', 'lowest', 'highest', 'last', 'at step'],
      rows: shownTrials().filter(trial => trial.curves[name].step.length > 0).map(trial => curveRow(trial, trial.curves[name])) }),
  });
  made.push(figure('validation', `${metric} on the validation pairs`, titleOf(metric), maximise ? 1 : -1));
  made.push(figure('train_loss', 'Training loss', 'loss', -1));
  selectionListeners.push(draw);
  made.controls = [which.label, labelled('smoothing', weight), log.label, robust.label];
  return made;
}

function curveRow(trial, curve) {
  const values = ascending(curve.value.map(number).filter(value => value !== null));
  return [trial.name, setting(trial), curve.step.length, number(curve.value[0]), values[0] ?? null, values[values.length - 1] ?? null,
    number(curve.value[curve.value.length - 1]), curve.step[curve.step.length - 1]];
}

function curveHint(items, lines) {
  const rows = items.filter(item => number(item.value[1]) !== null);
  if (rows.length === 0) return '';
  rows.sort((a, b) => (maximise ? b.value[1] - a.value[1] : a.value[1] - b.value[1]));
  const most = 12;
  const box = hint(`step ${rows[0].value[0]}`);
  for (const item of rows.slice(0, most)) {
    const dot = element('i', { className: 'dot' });
    dot.style.background = item.color;
    const trial = lines[item.seriesIndex].trial;
    box.append(element('div', {}, dot, `${trial.name}  ${text(item.value[1])}  `, element('span', { className: 'soft', textContent: setting(trial) })));
  }
  if (rows.length > most) box.append(element('div', { className: 'soft', textContent: `and ${rows.length - most} more` }));
  return box;
}

function outsideText(lines, range) {
  if (range === null) return '';
  const out = [];
  const far = 0.2 * (range[1] - range[0]);
  for (const { trial, y } of lines) {
    const values = ascending(y.filter(value => value !== null));
    if (values.length === 0) continue;
    if (values[values.length - 1] > range[1] + far) out.push(`${trial.name} (up to ${text(values[values.length - 1], 3)})`);
    else if (values[0] < range[0] - far) out.push(`${trial.name} (down to ${text(values[0], 3)})`);
  }
  return out.length === 0 ? '' : `partly outside the range: ${out.slice(0, 6).join(', ')}${out.length > 6 ? ` and ${out.length - 6} more` : ''}`;
}
