"""The look of the page: one set of rules for pictures, in a page or a file of its own, and one for
the page around them.

Colours are those of Okabe and Ito 2008 (Color Universal Design), darker on light ground and lighter
on dark until each has a contrast of 3 to 1 with it, text 4.5.
"""

FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif'

# ground, ink, soft ink, grid, then the kinds of marks: quiet, blue, orange, green, red, purple, sky
_LIGHT = ("#fdfdfb", "#1b1d20", "#5c6166", "#e3e3de", "#757a80", "#0067a3", "#b86e00", "#00805b",
          "#c24a00", "#a04a7d", "#2f86b8")
_DARK = ("#121416", "#e9e7e2", "#a3a8ad", "#2b2f33", "#8b9197", "#5fb2ea", "#eda83b", "#35bf95",
         "#ff8a4c", "#dc8fb9", "#9fd3f5")
_NAMES = ("paper", "ink", "soft", "grid", "k0", "k1", "k2", "k3", "k4", "k5", "k6")


def _colours(values: tuple[str, ...]) -> str:
    return ";".join(f"--{name}:{value}" for name, value in zip(_NAMES, values, strict=True))


_KINDS = "".join(f".k{i}{{color:var(--k{i})}}" for i in range(7))

_PLOT = (f".plot{{font:12px {FONT};color:var(--ink)}}"
         ".plot text{fill:var(--soft)}.plot .axis{font-size:11.5px}"
         ".plot .name,.plot .strong{fill:var(--ink);font-weight:600}"
         ".plot .end{fill:currentColor;font-weight:600}"
         ".plot .halo{paint-order:stroke;stroke:var(--paper);stroke-width:6px;"
         "stroke-linejoin:round}"
         ".plot path{fill:none;stroke-linejoin:round}"
         ".plot .grid{stroke:var(--grid)}"
         ".plot .line{stroke:currentColor;stroke-width:2;stroke-linecap:round}"
         ".plot .thin{stroke-width:1}.plot .k0.thin{opacity:.55}"
         ".plot .dash{stroke-dasharray:6 4;stroke-linecap:butt}"
         ".plot .rule{stroke:currentColor;stroke-dasharray:2 4}"
         ".plot .dot{stroke:currentColor;stroke-width:5;stroke-linecap:round}"
         ".plot .k0.dot{opacity:.8}"
         ".plot .hollow{fill:var(--paper);stroke:currentColor;stroke-width:2}"
         ".plot .fill{fill:currentColor;stroke:var(--paper);stroke-width:.8}"
         ".plot .band{fill:currentColor;opacity:.16}"
         ".plot .over{stroke:var(--ink);stroke-width:1.2}")

# Of a picture in a file of its own: it follows who looks at it, as the page does.
FILE_STYLE = (f"svg{{{_colours(_LIGHT)};background:var(--paper)}}"
              f"@media (prefers-color-scheme:dark){{svg{{{_colours(_DARK)}}}}}{_KINDS}{_PLOT}")

PAGE_STYLE = (
    f":root{{color-scheme:light dark;{_colours(_LIGHT)}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_colours(_DARK)}}}}}"
    f"{_KINDS}{_PLOT}"
    "*{box-sizing:border-box}"
    f"body{{margin:0;background:var(--paper);color:var(--ink);font:17px/1.6 {FONT};"
    "-webkit-text-size-adjust:100%;overflow-wrap:break-word}"
    "main,header,footer{max-width:760px;margin:0 auto;padding:0 20px}"
    "header{padding-top:56px}"
    ".eyebrow{margin:0 0 14px;color:var(--soft);font-size:14px}"
    "h1{margin:0 0 18px;font-size:clamp(25px,5vw,36px);line-height:1.2;font-weight:650;"
    "letter-spacing:-.018em;text-wrap:balance;overflow-wrap:anywhere}"
    ".lede{margin:0;color:var(--soft)}"
    ".facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:20px 24px;"
    "margin:34px 0 0;padding:22px 0;border:solid var(--grid);border-width:1px 0}"
    ".facts dt{color:var(--soft);font-size:13px;line-height:1.3}"
    ".facts dd{margin:4px 0 0;font-size:23px;line-height:1.2;font-weight:600;"
    "font-variant-numeric:tabular-nums}.facts small{display:block;color:var(--soft);"
    "font-size:13px;font-weight:400;line-height:1.35;margin-top:4px}"
    "section{margin:64px 0 0}h2{margin:0 0 6px;font-size:13px;font-weight:600;letter-spacing:.04em;"
    "color:var(--soft)}"
    "figure{margin:0}figure+figure{margin-top:40px}figcaption{margin:0 0 18px}"
    "p.finding{margin:0}figcaption b,.finding{display:block;font-size:20px;line-height:1.35;"
    "font-weight:600;"
    "letter-spacing:-.008em;text-wrap:pretty}"
    "figcaption span,.note{display:block;margin:6px 0 16px;color:var(--soft);font-size:15px;"
    "line-height:1.5}"
    "svg.plot{display:block;width:100%;height:auto;overflow:visible}"
    ".narrow{display:none}@media screen and (max-width:560px){.narrow{display:block}.wide"
    "{display:none}body{font-size:16px}header{padding-top:32px}section{margin-top:48px}"
    ".rest{display:none}.live tr{display:grid;grid-template-columns:72px 1fr auto;"
    "border-bottom:1px solid var(--grid)}.live th,.live td{border:0;padding-bottom:2px}"
    ".live td:last-child{grid-column:1/-1;padding:0 0 9px;color:var(--soft)}"
    ".live td{min-width:0;overflow:hidden;text-overflow:ellipsis}"
    ".live th:last-child{display:none}}[hidden]{display:none!important}"
    ".many{display:grid;grid-template-columns:repeat(auto-fill,minmax(145px,1fr));gap:22px 20px}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px;"
    "line-height:1.4;font-variant-numeric:tabular-nums}"
    "th,td{padding:7px 12px 7px 0;text-align:left;vertical-align:top;border-bottom:1px solid "
    "var(--grid)}th{color:var(--soft);font-weight:600;white-space:nowrap}"
    ".n{text-align:right;white-space:nowrap}td:first-child,td:nth-child(2){white-space:nowrap}td:first-child{font-weight:600}"
    "figure+.finding,ul+.finding,.scroll+.finding{margin-top:40px}"
    "th button{all:unset;cursor:pointer}th button:focus-visible,input:focus-visible"
    "{outline:2px solid var(--k1);outline-offset:2px}"
    "input[type=search]{width:100%;margin:14px 0;padding:10px 12px;font:inherit;color:inherit;"
    "background:transparent;border:1px solid var(--k0);border-radius:8px}"
    ".config{display:grid;grid-template-columns:repeat(auto-fill,minmax(250px,1fr));gap:0 36px;"
    "margin:18px 0 0;font-size:15px}.config div{display:flex;justify-content:space-between;"
    "gap:12px;padding:6px 0;border-bottom:1px solid var(--grid)}.config dt{color:var(--soft)}"
    ".config dd{margin:0;text-align:right;font-variant-numeric:tabular-nums}"
    ".config .new{font-weight:600;color:var(--k1)}"
    "blockquote{margin:18px 0 0;padding:0 0 0 16px;border-left:3px solid var(--grid);"
    "white-space:pre-wrap}blockquote footer{max-width:none;margin:0;padding:0;color:var(--soft);"
    "font-size:13px}"
    "ul.plain{margin:14px 0 0;padding:0;list-style:none;font-size:15px}ul.plain li{padding:5px 0;"
    "border-bottom:1px solid var(--grid)}"
    "code{font-family:ui-monospace,Menlo,Consolas,\"Liberation Mono\",monospace;font-size:.9em}"
    "body>footer{margin-top:72px;padding-top:20px;padding-bottom:48px;color:var(--soft);"
    "font-size:14px}"
    "@media (min-width:1100px){.broad{margin-left:-140px;margin-right:-140px}}"
    "@media print{@page{margin:16mm}:root{--paper:#fff}figure{max-width:150mm}"
    "body{font-size:11pt}main,header,footer{max-width:none;"
    "padding-left:0;padding-right:0}figure,.facts,blockquote,tr{break-inside:avoid}h2,figcaption"
    "{break-after:avoid}input{display:none}.broad{margin:0}section{margin-top:32pt}}")
