// Tables that sort and filter, commands that can be copied, and rows that light up what belongs to them. Needs no chart.
'use strict';

const cellKey = cell => {
  const text = cell.dataset.v === undefined ? cell.textContent.trim() : cell.dataset.v;
  return { text, number: text === '' ? NaN : Number(text) };
};

function makeSortable(table) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    head.classList.add('sort');
    head.tabIndex = 0;
    const sort = () => {
      const sign = head.getAttribute('aria-sort') === 'ascending' ? -1 : 1;
      heads.forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', sign > 0 ? 'ascending' : 'descending');
      const keyed = Array.from(table.tBodies[0].rows).map(row => ({ row, ...cellKey(row.cells[column]) }));
      keyed.sort((a, b) => {
        if (Number.isNaN(a.number) !== Number.isNaN(b.number)) return Number.isNaN(a.number) ? 1 : -1;
        const order = Number.isNaN(a.number) ? a.text.localeCompare(b.text) : a.number - b.number;
        return sign * order;
      });
      for (const item of keyed) table.tBodies[0].appendChild(item.row);
    };
    head.addEventListener('click', sort);
    head.addEventListener('keydown', event => {
      if (event.key === 'Enter' || event.key === ' ') {
        event.preventDefault();
        sort();
      }
    });
  });
}

// "lr<0.001 dice>=0.7 voxelmorph": each word must hold. A name stands for the first column whose title begins with it.
function conditionOf(word, titles) {
  const parts = /^(.+?)(<=|>=|!=|<|>|=)(.+)$/.exec(word);
  const plain = title => title.toLowerCase().replace(/\s/g, '');
  const column = parts === null ? -1 : titles.findIndex(title => plain(title).startsWith(parts[1].toLowerCase()));
  if (column < 0) return row => row.textContent.toLowerCase().includes(word.toLowerCase());
  const [, , sign, wanted] = parts;
  return row => {
    const { text, number } = cellKey(row.cells[column]);
    const limit = Number(wanted);
    if (Number.isNaN(limit) || Number.isNaN(number)) {
      const same = row.cells[column].textContent.toLowerCase().includes(wanted.toLowerCase());
      return sign === '=' ? same : sign === '!=' ? !same : false;
    }
    if (text === '') return false;
    return sign === '<' ? number < limit : sign === '>' ? number > limit : sign === '<=' ? number <= limit
      : sign === '>=' ? number >= limit : sign === '=' ? number === limit : number !== limit;
  };
}

// Rows are hidden by the filter's words and by what charts have selected; charts hear of the first by 'regatta-filter'.
class RowFilter {
  constructor(input) {
    this.input = input;
    this.table = document.getElementById(input.dataset.table);
    this.count = document.getElementById(input.dataset.table + '-count');
    this.titles = Array.from(this.table.tHead.rows[0].cells).map(cell => cell.textContent);
    this.byWords = null;
    this.byCharts = null;
    input.addEventListener('input', () => this.read());
    this.show();
  }

  read() {
    const words = this.input.value.split(/\s+/).filter(word => word !== '');
    const holds = words.map(word => conditionOf(word, this.titles));
    const rows = Array.from(this.table.tBodies[0].rows).filter(row => holds.every(hold => hold(row)));
    this.byWords = words.length === 0 ? null : new Set(rows.map(row => row.dataset.key));
    this.show();
    document.dispatchEvent(new CustomEvent('regatta-filter', { detail: this.byWords }));
  }

  select(keys) {
    this.byCharts = keys;
    this.show();
  }

  show() {
    let shown = 0;
    const rows = this.table.tBodies[0].rows;
    for (const row of rows) {
      const key = row.dataset.key;
      row.hidden = !(this.byWords === null || this.byWords.has(key)) || !(this.byCharts === null || this.byCharts.has(key));
      shown += row.hidden ? 0 : 1;
    }
    this.count.textContent = `${shown} of ${rows.length} rows`;
  }
}

function addCopyButton(command) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'copy';
  button.textContent = 'copy';
  button.addEventListener('click', () => {
    const range = document.createRange();
    range.selectNodeContents(command);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    const done = () => { button.textContent = 'copied'; };
    // A page opened as a file may not use the clipboard: then the command is at least selected.
    if (navigator.clipboard) navigator.clipboard.writeText(command.textContent).then(done, () => {});
  });
  const box = document.createElement('div');
  box.className = 'copying';
  command.replaceWith(box);
  box.append(command, button);
}

function lightUp(marks) {
  const light = key => {
    for (const mark of marks) mark.classList.toggle('lit', key !== null && mark.dataset.key === key);
    for (const svg of document.querySelectorAll('svg.still')) {
      svg.classList.toggle('dim', key !== null && svg.querySelector('g.lit') !== null);
    }
    document.dispatchEvent(new CustomEvent('regatta-light', { detail: key }));
  };
  for (const mark of marks) {
    mark.addEventListener('mouseenter', () => light(mark.dataset.key));
    mark.addEventListener('mouseleave', () => light(null));
  }
}

for (const table of document.querySelectorAll('table.sortable')) makeSortable(table);
const rowFilters = Array.from(document.querySelectorAll('input[data-table]')).map(input => new RowFilter(input));
for (const command of document.querySelectorAll('pre.command')) addCopyButton(command);
lightUp(Array.from(document.querySelectorAll('[data-key]')).filter(mark => mark.dataset.key !== ''));
