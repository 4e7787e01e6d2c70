"""report.html in headless Chromium: no error, no request, sorting, filtering, brushing, tables behind charts.

  check_page.py TEST_REPORT      the program that writes the pages
Skipped by name where there is no Chromium, or where the program was built without ECharts.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from browser import Browser, find_program

DATA = '<script type="application/json" id="report">'
ROWS = "Array.from(document.querySelectorAll('#leaderboard tbody tr')).filter(row => !row.hidden)"


def check(good, what):
    if not good:
        sys.exit(f"check_page: {what}")


def clean(browser, what):
    check(not browser.faults(), f"{what}: {browser.faults()}")
    check(not browser.requests(), f"{what}: requests of {browser.requests()}")


def fill(browser, selector, text):
    browser.value(f"(() => {{ const field = document.querySelector({json.dumps(selector)}); field.value = {json.dumps(text)};"
                  " field.dispatchEvent(new Event('input')); })()")
    browser.settle()


def check_sorting(browser):
    column = "Array.from(document.querySelectorAll('#leaderboard th')).findIndex(head => head.textContent.startsWith('lr'))"
    values = f"{ROWS}.map(row => Number(row.cells[{column}].dataset.v))"
    head = f"document.querySelectorAll('#leaderboard th')[{column}]"
    browser.value(f"{head}.click()")
    rising = browser.value(values)
    check(rising == sorted(rising) and len(set(rising)) > 5, f"a click on lr does not sort: {rising}")
    browser.value(f"{head}.focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    browser.call("Input.dispatchKeyEvent", type="keyUp", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    check(browser.value(values) == rising[::-1], "Enter on lr does not sort the other way")
    check(browser.value(f"{head}.getAttribute('aria-sort')") == "descending", "the order is not said to a screen reader")


def check_filter(browser):
    rows = browser.value(f"{ROWS}.length")
    fill(browser, "input[data-table]", "lr<0.002 rank<9")
    kept = browser.value(f"{ROWS}.length")
    check(0 < kept < rows, f"the filter leaves {kept} of {rows} rows")
    check(browser.value("document.getElementById('leaderboard-count').textContent") == f"{kept} of {rows} rows",
          "the number of rows is not shown")
    lines = browser.value("figures.find(figure => figure.parts.title.includes('validation pairs')).chart.getOption().series.length")
    check(lines == kept, f"the filter leaves {kept} rows and {lines} learning curves")
    fill(browser, "input[data-table]", "no such row")
    check(browser.value(f"{ROWS}.length") == 0, "a word that is nowhere leaves rows")
    fill(browser, "input[data-table]", "")
    check(browser.value(f"{ROWS}.length") == rows, "an empty filter hides rows")


def check_brush(browser):
    """A drag along the axis of the objective selects the points within."""
    rows = browser.value(f"{ROWS}.length")
    place = browser.value("""(() => {
      const figure = figures.find(made => made.parts.title.startsWith('Parallel'));
      figure.box.scrollIntoView({ block: 'center' });
      const box = figure.box.getBoundingClientRect();
      const axes = figure.chart.getModel().getComponent('parallel').coordinateSystem;
      const last = axes.dimensions[axes.dimensions.length - 1];
      const at = axes.getAxisLayout(last);
      const length = axes.getAxis(last).getExtent()[1] - axes.getAxis(last).getExtent()[0];
      return { x: box.x + at.position[0], bottom: box.y + at.position[1], length: Math.abs(length) };
    })()""")
    start, end = place["bottom"] - 0.55 * place["length"], place["bottom"] - 1.0 * place["length"]
    browser.drag((place["x"], start), (place["x"], end))
    kept = browser.value(f"{ROWS}.length")
    check(0 < kept < rows, f"brushing leaves {kept} of {rows} rows")
    best = browser.value(f"Math.min(...{ROWS}.map(row => Number(row.cells[0].dataset.v)))")
    check(best == 1, "the upper part of the objective's axis does not have the best point")
    browser.value("Array.from(document.querySelectorAll('button')).find(button => button.textContent === 'select all').click()")
    browser.settle()
    check(browser.value(f"{ROWS}.length") == rows, "'select all' leaves rows hidden")


def check_tables_behind(browser):
    empty = browser.value("""(() => {
      for (const figure of figures) { figure.behind.open = true; figure.fillTable(); }
      return figures.filter(figure => figure.behind.querySelectorAll('tbody tr').length === 0).map(figure => figure.parts.title);
    })()""")
    check(not empty, f"no table behind {empty}")
    unnamed = browser.value("figures.filter(figure => !figure.box.getAttribute('aria-label')).length")
    check(unnamed == 0, "a chart has no name for a screen reader")


def check_curves(browser):
    before = browser.value("document.querySelector('#curves .chart svg').outerHTML")
    fill(browser, "#curves input[type=range]", "0.9")
    check(browser.value("document.querySelector('#curves .chart svg').outerHTML") != before, "smoothing changes no curve")
    browser.value("Array.from(document.querySelectorAll('#curves input[type=checkbox]')).forEach(box => box.click())")
    browser.settle()
    kind = browser.value("figures.find(figure => figure.parts.title === 'Training loss').chart.getOption().yAxis[0].type")
    check(kind == "log", "'logarithmic' leaves the axis linear")


def check_small(browser, pages):
    parts = ["search", "curves", "gpus"]
    for width, dark in ((1400, False), (420, True)):
        browser.open(pages / "small.html", width=width, dark=dark)
        browser.settle()
        missing = [part for part in parts if not browser.value(f"document.querySelectorAll('#{part} svg').length")]
        check(not missing, f"no chart in {missing}")
        check(browser.value("document.documentElement.scrollWidth") <= width, f"wider than {width} pixels")
        ink = browser.value("getComputedStyle(document.body).color")
        check(sum(map(int, ink[4:-1].split(","))) > 380 if dark else True, f"dark, and the text is {ink}")
    browser.open(pages / "small.html")
    for step in (check_sorting, check_filter, check_brush, check_curves, check_tables_behind):
        step(browser)
        clean(browser, step.__name__)


def with_more(page, out):
    """The page's data with two objectives, a constraint and importance, as a search may have them."""
    text = page.read_text()
    begin = text.index(DATA) + len(DATA)
    end = text.index("</script>", begin)
    data = json.loads(text[begin:end])
    data["objectives"] = [{"metric": "dice", "direction": "maximise"}, {"metric": "folding", "direction": "minimise"}]
    data["constraints"] = [{"metric": "folding", "at_most": 0.00053, "at_least": None}]
    data["importance"] = {"axes": [{"pointer": axis["pointer"], "importance": 0.5} for axis in data["axes"]], "warning": "few"}
    for place, point in enumerate(data["ranking"]):
        point["front"] = 1 if place < 2 else 2
        point["status"] = "violates" if place > 5 else "ok"
    out.write_text(text[:begin] + json.dumps(data).replace("<", "\\u003c") + text[end:])


def check_more(browser, pages):
    with_more(pages / "small.html", pages / "more.html")
    browser.open(pages / "more.html", width=420)
    browser.settle()
    titles = browser.value("figures.map(figure => figure.parts.title)")
    for begin in ("How much each axis", "Objectives against each other"):
        check(any(title.startswith(begin) for title in titles), f"no chart '{begin}' in {titles}")
    front = "figures.find(figure => figure.parts.title.startsWith('Objectives')).chart.getOption().series[0].data"
    before = browser.value(front)
    check(len(before) == 2, f"the front has {len(before)} points")
    drawn = browser.value("figures.find(figure => figure.parts.title.startsWith('Objectives')).box.textContent")
    check("limit" in drawn, "the constraint's limit is not drawn")
    browser.value("(() => { for (const box of document.querySelectorAll('#search select')) { box.value = box.value === 'dice' ? 'folding'"
                  " : 'dice'; box.dispatchEvent(new Event('change')); } })()")
    check(sorted(map(tuple, before)) == sorted((y, x) for x, y in browser.value(front)), "the objectives do not change places")
    check_tables_behind(browser)
    clean(browser, "objectives and importance")


def main():
    program = find_program()
    if program is None:
        print("SKIPPED: browser.page: no Chromium (env/packages-test.txt)")
        return
    with tempfile.TemporaryDirectory() as folder:
        pages = pathlib.Path(folder)
        subprocess.run([sys.argv[1], "[pages]"], env={**os.environ, "REGATTA_PAGES": folder}, check=True, stdout=subprocess.DEVNULL)
        if "<section id=\"search\">" not in (pages / "small.html").read_text():
            print("SKIPPED: browser.page: built without ECharts")
            return
        with Browser(program) as browser:
            check_small(browser, pages)
            check_more(browser, pages)
            browser.open(pages / "hostile.html")
            browser.settle()
            clean(browser, "hostile names")
            check_tables_behind(browser)
            check(browser.value("document.querySelectorAll('script').length") == 3, "a hostile name became a script")
            browser.open(pages / "large.html")
            check_brush(browser)
            clean(browser, "500 trials")
    print("check_page: sorted, filtered, brushed; no error, no request")


main()
