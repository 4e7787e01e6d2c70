// A chart with its title, its controls and the table behind it, in the page's colours.
const figures = [];

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const labelled = (label, control) => element('label', { className: 'control' }, label + ' ', control);

function choice(label, options, onChange) {
  const control = element('select', {}, ...options.map(([value, title]) => element('option', { value, textContent: title })));
  control.addEventListener('change', onChange);
  return { control, label: labelled(label, control) };
}

function tick(label, checked, onChange) {
  const control = element('input', { type: 'checkbox', checked });
  control.addEventListener('change', onChange);
  return { control, label: element('label', { className: 'control' }, control, ' ' + label) };
}

// Lines of a tooltip as text, so that names from files never become markup.
function hint(...lines) {
  const box = element('div', { className: 'hint' });
  for (const line of lines) box.append(element('div', { textContent: line }));
  return box;
}

function baseOption() {
  return {
    animation: false,
    textStyle: { fontFamily: 'inherit', color: css('--ink') },
    grid: { left: 12, right: 18, top: 16, bottom: 12, outerBoundsMode: 'same', outerBoundsContain: 'all' },
    tooltip: {
      confine: true, backgroundColor: css('--paper'), borderColor: css('--rule'),
      textStyle: { color: css('--ink'), fontSize: 13 },
    },
  };
}

const axisStyle = () => ({
  axisLine: { lineStyle: { color: css('--axis') } },
  axisLabel: { color: css('--soft'), hideOverlap: true, fontSize: 12 },
  nameTextStyle: { color: css('--ink'), fontSize: 13 },
  splitLine: { lineStyle: { color: css('--rule') } },
});
const xAxis = (name, more = {}) => ({
  type: 'value', name, nameLocation: 'middle', nameGap: 26, ...axisStyle(), splitLine: { show: false }, ...more,
});
const yAxis = (name, more = {}) => ({
  type: 'value', name, nameLocation: 'end', scale: true, ...axisStyle(),
  nameTextStyle: { color: css('--ink'), fontSize: 13, align: 'left', padding: [0, 0, 0, -30] }, ...more,
});

// parts: title; option() -> what ECharts draws now; table() -> { head, rows }; height in pixels; controls; note() below it;
// wide; follows: drawn again when the selection changes.
class Figure {
  constructor(parts) {
    this.parts = parts;
    this.box = element('div', { className: 'chart', role: 'img' });
    this.box.style.height = `${parts.height || 300}px`;
    this.box.setAttribute('aria-label', `${parts.title}; the table below has its values`);
    this.note = element('p', { className: 'off' });
    this.behind = element('details', { className: 'behind' }, element('summary', { textContent: 'as a table' }));
    this.behind.addEventListener('toggle', () => this.fillTable());
    this.root = element('figure', { className: parts.wide ? 'across' : '' },
      element('figcaption', { textContent: parts.title }));
    if (parts.controls) this.root.append(element('div', { className: 'controls' }, ...parts.controls));
    this.root.append(this.box, this.note, this.behind);
  }

  start() {
    this.chart = echarts.init(this.box, null, { renderer: 'svg' });
    this.draw();
    if (this.parts.onReady) this.parts.onReady(this.chart);
    new ResizeObserver(() => this.chart.resize()).observe(this.box);
    figures.push(this);
  }

  draw() {
    this.chart.setOption({ ...baseOption(), ...this.parts.option() }, { notMerge: true });
    this.note.textContent = this.parts.note ? this.parts.note() : '';
    if (this.behind.open) this.fillTable();
  }

  fillTable() {
    this.behind.querySelector('.wide')?.remove();
    if (!this.behind.open) return;
    const { head, rows } = this.parts.table();
    const body = element('tbody');
    for (const row of rows) {
      const line = element('tr');
      for (const value of row) {
        const cell = element('td', { textContent: text(value) });
        if (typeof value === 'number') {
          cell.className = 'n';
          cell.dataset.v = value;
        }
        line.append(cell);
      }
      body.append(line);
    }
    const titles = element('tr', {}, ...head.map(title => element('th', { textContent: title, scope: 'col' })));
    const table = element('table', { className: 'sortable' }, element('thead', {}, titles), body);
    makeSortable(table);
    this.behind.append(element('div', { className: 'wide' }, table));
  }
}

// Figures side by side in the page's part of this name, under the controls that they share (`made.controls`); a part without figures is left out, its heading too.
function showFigures(name, made) {
  const part = document.getElementById(name);
  const present = made.filter(figure => figure !== null);
  if (present.length === 0) {
    part.remove();
    document.querySelector(`nav a[href="#${name}"]`)?.remove();
    return;
  }
  if (made.controls) part.append(element('div', { className: 'controls' }, ...made.controls));
  part.append(element('div', { className: 'charts' }, ...present.map(figure => figure.root)));
  for (const figure of present) figure.start();
}

const redraw = () => figures.forEach(figure => figure.draw());
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
