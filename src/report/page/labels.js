// The validation pairs of one trial: a box for each label, and the pairs themselves.
function boxOf(values) {
  const sorted = ascending(values);
  const [low, high] = [quantile(sorted, 0.25), quantile(sorted, 0.75)];
  const inside = sorted.filter(value => value >= low - 1.5 * (high - low) && value <= high + 1.5 * (high - low));
  return { box: [inside[0], low, quantile(sorted, 0.5), high, inside[inside.length - 1]], outside: sorted.filter(value => !inside.includes(value)), n: sorted.length };
}

function labelFigures() {
  const trials = rankedTrials().filter(trial => trial.pairs && trial.pairs.pairs.length > 0);
  if (trials.length === 0) return [];
  const groups = new Set();
  for (const name of Object.keys(trials[0].pairs.values)) if (name.includes('/')) groups.add(name.split('/')[0]);
  const metrics = Object.keys(trials[0].pairs.values).filter(name => !name.includes('/'));
  const made = [];
  const draw = () => made.forEach(figure => figure.draw());
  const which = choice('trial', trials.map(trial => [trial.name, `${trial.name}, ${metric} ${text(trial.objective)}`]), draw);
  const kind = choice('measure', Array.from(groups).map(name => [name, titleOf(name)]), draw);
  const sort = tick('worst first', false, draw);
  const trialNow = () => trialByName.get(which.control.value);

  const boxes = () => {
    const found = [];
    for (const [name, values] of Object.entries(trialNow().pairs.values)) {
      const finite = values.map(number).filter(value => value !== null);
      if (name.startsWith(kind.control.value + '/') && finite.length > 0) found.push({ label: name.slice(kind.control.value.length + 1), ...boxOf(finite) });
    }
    const byLabel = new Intl.Collator('en', { numeric: true });
    const lowerIsWorse = kind.control.value.startsWith('dice');
    found.sort((a, b) => (sort.control.checked ? (a.box[2] - b.box[2]) * (lowerIsWorse ? 1 : -1) : byLabel.compare(a.label, b.label)));
    return found;
  };
  if (groups.size > 0) {
    made.push(new Figure({
      title: 'Each label over the validation pairs', wide: true, height: 340, controls: [which.label, kind.label, sort.label],
      option: () => {
        const found = boxes();
        const title = kind.control.value;
        return {
          xAxis: { type: 'category', data: found.map(row => row.label), name: 'label', nameLocation: 'middle', nameGap: 26, ...axisStyle(), splitLine: { show: false } },
          yAxis: yAxis(titleOf(title)),
          grid: { ...baseOption().grid, bottom: found.length > 45 ? 44 : 12 },
          dataZoom: found.length > 45 ? [{ type: 'slider', height: 16, bottom: 6, startValue: 0, endValue: 44, borderColor: css('--rule'), fillerColor: css('--veil') }] : [],
          tooltip: { ...baseOption().tooltip, trigger: 'item', formatter: item => {
            const row = found[item.seriesIndex === 0 ? item.dataIndex : item.value[0]];
            return hint(`label ${row.label}, ${row.n} pairs`, `median ${text(row.box[2])}`, `middle half ${text(row.box[1])} to ${text(row.box[3])}`, `whiskers ${text(row.box[0])} to ${text(row.box[4])}`);
          } },
          series: [
            { type: 'boxplot', data: found.map(row => row.box), boxWidth: [4, 26], itemStyle: { color: css('--veil'), borderColor: css('--k1'), borderWidth: 1.4 } },
            { type: 'scatter', symbolSize: 4, itemStyle: { color: css('--k2') }, data: found.flatMap((row, i) => row.outside.map(value => [i, value])) },
          ],
        };
      },
      note: () => `boxes: the middle half of ${trialNow().pairs.pairs.length} pairs; whiskers: within 1.5 times its height; dots: beyond`,
      table: () => ({ head: ['label', 'pairs', 'lowest', 'first quartile', 'median', 'third quartile', 'highest'],
        rows: boxes().map(row => [row.label, row.n, Math.min(row.box[0], ...row.outside), row.box[1], row.box[2], row.box[3], Math.max(row.box[4], ...row.outside)]) }),
    }));
  }
  made.push(pairFigure(trialNow, metrics, groups.size > 0 ? [] : [which.label]));
  return made;
}

// Pairs by their objective, worst first.
function pairFigure(trialNow, metrics, controls) {
  const shown = metrics.includes(metric) ? metric : metrics[0];
  const rows = () => {
    const { pairs, values } = trialNow().pairs;
    const list = pairs.map(([moving, fixed], i) => ({ name: `${moving} to ${fixed}`, numbers: metrics.map(name => number(values[name][i])) }));
    const at = metrics.indexOf(shown);
    return list.sort((a, b) => (maximise ? 1 : -1) * ((a.numbers[at] ?? -Infinity) - (b.numbers[at] ?? -Infinity)));
  };
  return new Figure({
    title: `Each validation pair, the worst first`, wide: true, height: 250, controls,
    option: () => {
      const list = rows();
      return {
        xAxis: { type: 'category', data: list.map(row => row.name), ...axisStyle(), axisLabel: { show: false }, splitLine: { show: false }, name: `${list.length} pairs`, nameLocation: 'middle', nameGap: 10 },
        yAxis: yAxis(titleOf(shown), { scale: false }),
        tooltip: { ...baseOption().tooltip, trigger: 'item', formatter: item => hint(list[item.dataIndex].name, ...metrics.map((name, i) => `${titleOf(name)} ${text(list[item.dataIndex].numbers[i])}`)) },
        series: [{ type: 'bar', barMaxWidth: 22, itemStyle: { color: css('--k1') }, data: list.map(row => row.numbers[metrics.indexOf(shown)]) }],
      };
    },
    table: () => ({ head: ['pair', ...metrics.map(titleOf)], rows: rows().map(row => [row.name, ...row.numbers]) }),
  });
}
