// What all charts share: the report's data, how numbers read, the colours of the best points, what is selected.
const report = JSON.parse(document.getElementById('report').textContent);
const metric = report.objective.metric;
const maximise = report.objective.direction === 'maximise';

const number = value => (typeof value === 'number' && Number.isFinite(value) ? value : null);
const keyOf = row => `${row.sweep}-${row.point}`;
const titleOf = name => {
  const unit = report.units[name.split('/')[0]];
  return unit === undefined ? name : `${name} (${unit})`;
};
const failedStates = new Set(['diverged', 'infeasible', 'failed', 'quarantined']);
const hasFailed = trial => failedStates.has(trial.status);
const trialByName = new Map(report.trials.map(trial => [trial.name, trial]));

function text(value, digits = 4) {
  if (value === null || value === undefined) return '-';
  if (typeof value !== 'number') return String(value);
  const size = Math.abs(value);
  return size !== 0 && (size >= 1e7 || size < 1e-4) ? value.toExponential(digits - 2) : String(Number(value.toPrecision(digits)));
}

function duration(seconds) {
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
}

const setting = trial => report.axes.map(axis => `${axis.label} ${text(trial.axes[axis.pointer])}`).join(', ');
const isNumeric = axis => report.trials.every(trial => {
  const value = trial.axes[axis.pointer];
  return value === null || value === undefined || typeof value === 'number';
});

// 1 to 6 for the six best points, 0 for all others, as in the tables.
const places = new Map(report.ranking.filter(point => point.rank !== null).slice(0, 6).map((point, i) => [keyOf(point), i + 1]));
const placeOf = row => places.get(keyOf(row)) || 0;

const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colourOf = row => css(`--k${placeOf(row)}`);

// Points are selected by the leaderboard's filter and by brushing; each part is a set of keys, or null for all.
const selection = { words: null, brush: null };
const isSelected = row => Object.values(selection).every(keys => keys === null || keys.has(keyOf(row)));
const nothingSelected = () => Object.values(selection).every(keys => keys === null);
const selectionListeners = [];
let selectionTimer = 0;
function select(part, keys) {
  selection[part] = keys;
  clearTimeout(selectionTimer);
  selectionTimer = setTimeout(() => selectionListeners.forEach(listener => listener()), 60);
}
document.addEventListener('regatta-filter', event => select('words', event.detail));

function quantile(sorted, q) {
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}
const ascending = values => values.slice().sort((a, b) => a - b);
