// What every GPU did: a bar for each attempt, a row for each rank of each host, and how much of the time nothing ran.
const attemptColour = status => (status === 'ok' ? css('--k3') : status === 'running' ? css('--k1')
  : ['paused', 'timeout', 'preempted', 'lost', 'pruned'].includes(status) ? css('--k5') : css('--bad'));

function attemptBars() {
  const bars = [];
  for (const trial of report.trials) {
    for (const attempt of trial.attempts) {
      const start = Date.parse(attempt.started_utc);
      const end = Date.parse(attempt.ended_utc);
      if (Number.isFinite(start) && Number.isFinite(end)) {
        bars.push({ trial, attempt, start, end: Math.max(end, start), row: `${attempt.host} rank ${attempt.rank}` });
      }
    }
  }
  bars.sort((a, b) => a.start - b.start);
  // Two jobs may have had a rank of the same number on a host at one time: the second gets a row of its own.
  const busyUntil = new Map();
  for (const bar of bars) {
    let row = bar.row;
    for (let lane = 2; busyUntil.has(row) && busyUntil.get(row) > bar.start + 1000; ++lane) row = `${bar.row}, job ${lane}`;
    busyUntil.set(row, Math.max(bar.end, busyUntil.get(row) ?? bar.end));
    bar.row = row;
  }
  return bars;
}

function timelineFigure() {
  const bars = attemptBars();
  if (bars.length === 0) return null;
  const byName = new Intl.Collator('en', { numeric: true });
  const rows = Array.from(new Set(bars.map(bar => bar.row))).sort((a, b) => byName.compare(b, a));
  const begin = Math.min(...bars.map(bar => bar.start));
  const end = Math.max(...bars.map(bar => bar.end));
  const busy = new Map(rows.map(row => [row, 0]));
  for (const bar of bars) busy.set(bar.row, busy.get(bar.row) + bar.end - bar.start);
  const share = row => (end > begin ? busy.get(row) / (end - begin) : 1);
  const mean = rows.reduce((sum, row) => sum + share(row), 0) / rows.length;
  const percent = part => `${text(100 * part, 3)} %`;
  const clock = at => new Date(at).toISOString().slice(0, 19).replace('T', ' ');
  const order = new Map(rows.map((row, i) => [row, i]));
  return new Figure({
    title: `What ran on each GPU: busy ${percent(mean)} of ${duration((end - begin) / 1000)}`,
    wide: true, follows: true, height: Math.min(900, 110 + 26 * rows.length),
    option: () => ({
      grid: { left: 12, right: 18, top: 10, bottom: 52, outerBoundsMode: 'same', outerBoundsContain: 'all' },
      xAxis: { ...xAxis('UTC', { type: 'time', nameGap: 22 }), min: begin, max: end, splitLine: { show: true, lineStyle: { color: css('--rule') } },
        axisLabel: { color: css('--soft'), hideOverlap: true, fontSize: 12, formatter: at => new Date(at).toISOString().slice(end - begin > 86400000 ? 5 : 11, 19).replace('T', ' ') } },
      yAxis: { type: 'category', data: rows, ...axisStyle(), splitLine: { show: false }, axisTick: { show: false } },
      dataZoom: [{ type: 'slider', filterMode: 'weakFilter', height: 18, bottom: 8, labelFormatter: '', borderColor: css('--rule'),
        fillerColor: css('--veil'), textStyle: { color: css('--soft') } }],
      tooltip: { ...baseOption().tooltip, trigger: 'item', formatter: item => {
        const bar = bars[item.dataIndex];
        return hint(`${bar.trial.name}, attempt ${bar.attempt.attempt}: ${bar.attempt.status} at step ${bar.attempt.step}`, setting(bar.trial),
          `${clock(bar.start)} to ${clock(bar.end)} UTC, ${duration((bar.end - bar.start) / 1000)}`, ...(bar.attempt.message === '' ? [] : [bar.attempt.message]));
      } },
      series: [{
        type: 'custom', encode: { x: [1, 2], y: 0 }, clip: true,
        renderItem: (params, api) => {
          const from = api.coord([api.value(1), api.value(0)]);
          const to = api.coord([api.value(2), api.value(0)]);
          const height = Math.min(20, api.size([0, 1])[1] * 0.75);
          const bar = bars[params.dataIndex];
          const shape = echarts.graphic.clipRectByRect({ x: from[0], y: from[1] - height / 2, width: Math.max(to[0] - from[0], 2), height }, params.coordSys);
          return shape && { type: 'rect', shape, style: { fill: attemptColour(bar.attempt.status), opacity: isSelected(bar.trial) ? 0.9 : 0.2, stroke: css('--paper'), lineWidth: 1 } };
        },
        data: bars.map(bar => [order.get(bar.row), bar.start, bar.end]),
      }],
    }),
    note: () => `green: ended; blue: runs; yellow: paused, lost or stopped by a time limit; red: failed. Idle: ${rows.slice().reverse().slice(0, 16)
      .map(row => `${row} ${percent(1 - Math.min(1, share(row)))}`).join(', ')}${rows.length > 16 ? ` and ${rows.length - 16} more` : ''}`,
    table: () => ({ head: ['GPU', 'trial', 'attempt', 'status', 'from', 'to', 'seconds'],
      rows: bars.map(bar => [bar.row, bar.trial.name, bar.attempt.attempt, bar.attempt.status, clock(bar.start), clock(bar.end), (bar.end - bar.start) / 1000]) }),
  });
}
