// Several objectives against each other, with the front that no point beats in all of them.
function paretoFigure() {
  const objectives = report.objectives || [];
  if (objectives.length < 2) return null;
  const limits = report.constraints || [];
  const meanOf = (point, name) => number(name === metric ? point.objective.mean : point.best[name]?.mean);
  const points = report.ranking.filter(point => objectives.every(one => meanOf(point, one.metric) !== null));
  if (points.length === 0) return null;
  let figure = null;
  const names = objectives.map(one => [one.metric, `${titleOf(one.metric)}, ${one.direction === 'maximise' ? 'higher' : 'lower'} is better`]);
  const across = choice('across', names, () => figure.draw());
  const up = choice('up', names, () => figure.draw());
  across.control.value = names[1][0];
  up.control.value = names[0][0];
  const markOf = (point, x, y) => ({ ...mark(point, [meanOf(point, x), meanOf(point, y)], point.status === 'violates'), name: point.trials[0] });
  const lines = (x, y) => limits.flatMap(limit => [limit.at_most, limit.at_least].filter(value => number(value) !== null).flatMap(value =>
    (limit.metric === x ? [{ xAxis: value }] : limit.metric === y ? [{ yAxis: value }] : [])));
  figure = new Figure({
    title: `Objectives against each other; the line joins the front${report.pareto ? `, hypervolume ${text(report.pareto.hypervolume)}` : ''}`,
    wide: true, follows: true, height: 360, controls: [across.label, up.label],
    option: () => {
      const [x, y] = [across.control.value, up.control.value];
      const front = points.filter(point => point.front === 1).sort((a, b) => meanOf(a, x) - meanOf(b, x));
      return {
        xAxis: xAxis(titleOf(x), { scale: true }), yAxis: yAxis(titleOf(y)),
        tooltip: { ...baseOption().tooltip, trigger: 'item', formatter: item => {
          const point = points.find(one => one.trials[0] === item.name);
          return point ? hint(`${point.trials.join(', ')}${point.front ? `, front ${point.front}` : ''}${point.status === 'violates' ? ', breaks a constraint' : ''}`,
            setting(trialByName.get(point.trials[0])), ...objectives.map(one => `${titleOf(one.metric)} ${text(meanOf(point, one.metric))}`)) : '';
        } },
        series: [
          { type: 'line', symbol: 'none', silent: true, lineStyle: { color: css('--k1'), width: 1.5, type: 'dashed' },
            data: front.map(point => [meanOf(point, x), meanOf(point, y)]) },
          { type: 'scatter', data: points.map(point => markOf(point, x, y)),
            markLine: { silent: true, symbol: 'none', precision: -1, lineStyle: { color: css('--bad') }, label: { color: css('--bad'), formatter: 'limit' }, data: lines(x, y) } },
        ],
      };
    },
    note: () => (limits.length > 0 ? 'rings: points that break a constraint' : ''),
    table: () => ({ head: ['rank', 'trials', 'front', ...objectives.map(one => titleOf(one.metric)), 'status'],
      rows: points.map(point => [point.rank, point.trials.join(', '), point.front ?? null, ...objectives.map(one => meanOf(point, one.metric)), point.status ?? '-']) }),
  });
  return figure;
}
