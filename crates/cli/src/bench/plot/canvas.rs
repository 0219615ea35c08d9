//! What figures are drawn on.

use std::fmt::Write;

/// Colours and letters, for light pages and for dark ones. A figure in a file has them too.
pub const STYLE: &str = "\
.figure{--ink:#1f2328;--soft:#59636e;--grid:#d8dee4;--page:#ffffff;\
--ours:#0969da;--managed:#c4520c;--packed:#1a7f37;--other:#8250df;--floor:#6e7781;\
font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;background:var(--page)}\
@media (prefers-color-scheme:dark){.figure{--ink:#e6edf3;--soft:#9198a1;--grid:#30363d;--page:#0d1117;\
--ours:#58a6ff;--managed:#f0883e;--packed:#3fb950;--other:#bc8cff;--floor:#8b949e}}\
.figure text{fill:var(--ink)}.figure .soft{fill:var(--soft)}.figure .title{font-size:14px;font-weight:600}\
.figure .end{text-anchor:end}.figure .middle{text-anchor:middle}\
.figure .grid{stroke:var(--grid);stroke-width:1}.figure .axis{stroke:var(--soft);stroke-width:1}\
.figure .curve{fill:none;stroke-width:1.8}.figure .dashed{stroke-dasharray:5 3}\
.figure .body{fill-opacity:.25;stroke-width:1.2}.figure .bar{fill-opacity:.8;stroke:none}\
.figure .mark{stroke-width:2.4}\
.figure .ours{stroke:var(--ours);fill:var(--ours)}.figure .managed{stroke:var(--managed);fill:var(--managed)}\
.figure .packed{stroke:var(--packed);fill:var(--packed)}.figure .other{stroke:var(--other);fill:var(--other)}\
.figure .floor{stroke:var(--floor);fill:var(--floor)}.figure .curve{fill:none}.figure text{stroke:none}";

/// An SVG in the making.
pub struct Canvas {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

impl Canvas {
    /// An empty one, with a title at its top.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        let mut canvas = Self { width, height, title: escaped(title), body: String::new() };
        canvas.text(0.0, 16.0, "title", title);
        canvas
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ =
            write!(self.body, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
    }

    /// A rectangle.
    pub fn bar(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        let _ = write!(
            self.body,
            "<rect class=\"bar {class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            width.max(0.5)
        );
    }

    /// Words, beginning (or by the class `end` ending, by `middle` centred) at a point.
    pub fn text(&mut self, x: f64, y: f64, class: &str, words: &str) {
        let _ = write!(self.body, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(words));
    }

    /// A line through points; with `closed` an area.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)], closed: bool) {
        let mut path = String::new();
        for (position, (x, y)) in points.iter().enumerate() {
            let _ = write!(path, "{}{x:.1} {y:.1}", if position == 0 { 'M' } else { 'L' });
        }
        let _ = write!(self.body, "<path class=\"{class}\" d=\"{path}{}\"/>", if closed { "Z" } else { "" });
    }

    /// The whole, with its style.
    pub fn finish(self) -> String {
        let Self { width, height, title, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" viewBox=\"-12 -4 {:.0} {:.0}\" width=\"{:.0}\" \
             height=\"{:.0}\" role=\"img\" aria-label=\"{title}\"><style>{STYLE}</style>{body}</svg>\n",
            width + 24.0,
            height + 12.0,
            width + 24.0,
            height + 12.0,
        )
    }
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
