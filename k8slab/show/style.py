"""The stepper's style sheet, written once for all panes.

Colours are Okabe and Ito's, which people with any kind of colour vision can tell apart. They mark lines and
surfaces; text keeps the theme's own colour and its contrast. JupyterLab says which theme it shows in
`data-jp-theme-light`; other pages have no such word and get the light one.

`&` stands for the stepper's class, said twice so that a rule here wins over ipywidgets' own. A theme has rules
for `code` of its own, which come after these when it is changed: those here name two classes, to its one.
"""

_SHEET = """
.k8slab-stepper { --k-here: #0072B2; --k-change: #D55E00; --k-dim: #595959; --k-on: #fff;
  --k-line: var(--jp-border-color2, #e0e0e0); --k-text: var(--jp-ui-font-color1, #212121);
  --k-font: var(--jp-ui-font-family, system-ui, sans-serif); --k-code: var(--jp-code-font-family, monospace);
  color: var(--k-text); font: 14px/1.5 var(--k-font); max-width: 1240px; padding: 2px }
[data-jp-theme-light=false] .k8slab-stepper { --k-here: #56B4E9; --k-change: #E69F00; --k-dim: #b4b4b4;
  --k-on: #111; --k-line: #4a4a4a }

/* ipywidgets' boxes: as wide as there is room, as high as what they hold */
& .widget-html, & .widget-html-content { font: inherit; line-height: 1.5; width: auto; height: auto;
  margin: 0; align-self: stretch; flex: 1 1 auto; min-width: 0; overflow: visible }
& .widget-tab, & .widget-tab-contents { width: auto; margin: 0; padding: 0; border: 0; background: none;
  overflow: visible }
& .lm-TabBar-content { border-bottom: 1px solid var(--k-line) }
& .lm-TabBar-tabLabel { font-size: 14px; line-height: 30px }
& .widget-tab .lm-TabBar-tab, & .widget-tab .lm-TabBar-tab.lm-mod-current { flex: 0 1 auto; min-height: 32px;
  max-width: none; max-height: none; margin: 0; padding: 0 14px; border: 0;
  border-bottom: 2px solid transparent; background: none; color: var(--k-dim); line-height: 30px;
  transform: none }
& .widget-tab .lm-TabBar-tab.lm-mod-current { border-bottom-color: var(--k-here); color: var(--k-text);
  font-weight: 600 }
& .widget-tab .lm-TabBar-tab.lm-mod-current::before { display: none }
@media (forced-colors: active) {
  & { --k-here: Highlight; --k-on: HighlightText; --k-change: CanvasText; --k-dim: CanvasText }
  & .k-here u { forced-color-adjust: none }
  & .widget-tab .lm-TabBar-tab { border-bottom-color: Canvas }
  & .widget-tab .lm-TabBar-tab.lm-mod-current { border-bottom-color: Highlight }
}

/* the list beside the stage, or above it where there is no room */
& .k-journey { margin: 0 0 8px; font-size: 15px }
& .k-journey small { display: block; color: var(--k-dim); font-size: 13px }
& .k-body { display: flex; flex-flow: row wrap; gap: 12px 20px; padding: 12px 2px 4px; overflow: visible }
& .k-stage { flex: 2.2 1 480px; width: auto; min-width: 0; margin: 0; overflow: visible }
& .widget-select { flex: 1 1 340px; flex-direction: column; align-items: stretch; width: auto; height: auto;
  min-width: 0; min-height: 210px; margin: 0 }
& .widget-select > :first-child { flex: 0 0 auto; width: auto; height: auto; padding-bottom: 4px;
  color: var(--k-dim); font-size: 13px; line-height: 1.5; text-align: left }
& .widget-select select { flex: 1 1 200px; padding: 5px; border: 1px solid var(--k-line); border-radius: 8px;
  background: var(--jp-layout-color1, #fff); color: var(--k-text); font: 12.5px/1.5 var(--k-font) }
& select option { padding: 4px 5px; border-radius: 5px }
& select:focus-visible { outline: 2px solid var(--k-here); outline-offset: 1px }

/* where the packet is */
.k-pane { container-type: inline-size }
.k-pane p { margin: 0 }
.k-pane.k-pane code { padding: 0; background: none; color: inherit; font-family: var(--k-code); font-size: 12px;
  overflow-wrap: anywhere }
.k-strip { display: flex; align-items: stretch; padding-top: 10px }
.k-host { position: relative; box-sizing: border-box; flex: 0 1 138px; min-width: 0; padding: 9px 8px 7px;
  border: 1px solid var(--k-line); border-radius: 8px; line-height: 1.35; text-align: center;
  overflow-wrap: anywhere }
.k-host i { color: var(--k-dim); font-size: 12px; font-style: normal }
.k-host b { display: block; font-weight: 600 }
.k-pane .k-host code { display: block; font-size: 11.5px }
.k-here { border-color: var(--k-here); outline: 2px solid var(--k-here); outline-offset: -1px;
  background: color-mix(in srgb, var(--k-here) 9%, transparent) }
.k-here u { position: absolute; top: -10px; left: 50%; transform: translateX(-50%); padding: 0 9px;
  border-radius: 9px; background: var(--k-here); color: var(--k-on); font-size: 11.5px; line-height: 18px;
  text-decoration: none; white-space: nowrap }
.k-wire { display: flex; flex: 1 1 40px; flex-direction: column; justify-content: center; min-width: 26px;
  padding: 0 6px; white-space: nowrap }
.k-wire svg { width: 100%; height: 14px; overflow: visible; fill: var(--k-dim); stroke: var(--k-dim) }
.k-wire line { stroke-width: 1.5; stroke-dasharray: 3 3 }
.k-lit svg { fill: var(--k-here); stroke: var(--k-here) }
.k-lit line { stroke-width: 3; stroke-dasharray: none }
.k-pane .k-wire code { color: var(--k-dim); font-size: 11px; line-height: 1.3; overflow-wrap: normal }
.k-pane .k-wire svg + code { text-align: right }
@container (max-width: 600px) {
  .k-pane .k-wire code { display: none }
  .k-host { flex-basis: 122px; padding: 9px 4px 6px }
  .k-pane .k-host code { font-size: 11px }
}
@container (max-width: 430px) {
  .k-strip .k-host { padding: 9px 2px 6px }
  .k-pane .k-host code { font-size: 9.5px; letter-spacing: -.02em }
}

/* what happens, and what reads the packet: high enough that what is below stays where it is */
.k-say { min-height: 92px; margin: 12px 0 0 }
.k-count { color: var(--k-dim); font-size: 13px }
.k-pane .k-title { font-size: 17px; font-weight: 600; line-height: 1.35; overflow-wrap: anywhere }
.k-box { padding: 8px 0 10px; border-top: 1px solid var(--k-line) }
.k-head { font-size: 13px; font-weight: 600 }
.k-head span { font-weight: 400; overflow-wrap: anywhere }
.k-reads { min-height: 96px }
.k-reads code span { display: inline-block; max-width: 100% }
.k-rule { margin: 5px 0 0; padding: 1px 0 1px 9px; border-left: 3px solid var(--k-here) }
.k-pane details { margin-top: 5px; font-size: 13px }
.k-pane summary { cursor: pointer }
.k-pane ul { margin: 3px 0 0; padding-left: 22px }
.k-pane li { margin: 0 0 4px; overflow-wrap: anywhere }

/* the packet, and what the node remembers */
.k-cols { display: flex; flex-flow: row wrap; gap: 0 22px }
.k-cols > div { flex: 1 1 225px }
.k-cols > .k-packet { flex: 1.4 1 385px }
.k-pane table { width: 100%; margin: 0; border-collapse: collapse; color: inherit; font-size: 13px }
.k-pane :is(th, td) { max-width: none; padding: 3px 10px 3px 0; border: 0;
  border-bottom: 1px solid var(--k-line); background: none; font-weight: 400; text-align: left;
  vertical-align: top; white-space: normal }
.k-pane caption { padding: 0 0 4px; color: inherit; caption-side: top; text-align: left }
.k-pane th { color: var(--k-dim) }
.k-pane thead th { padding-bottom: 1px; font-size: 12px }
.k-pane tr:hover, .k-pane tbody tr:nth-child(even) { background: none }
.k-pane :is(td, thead th):last-child { padding-left: 9px }
.k-packet td code { white-space: nowrap }
@container (max-width: 400px) { .k-packet td code { white-space: normal } }
.k-memory tr:nth-child(n+3) td { font-family: var(--k-code); font-size: 12px }
.k-pane .k-changed td:last-child { background: color-mix(in srgb, var(--k-change) 15%, transparent);
  box-shadow: inset 3px 0 var(--k-change); font-weight: 700 }
.k-changed em { margin-left: 5px; font-size: 12px; font-style: normal }
"""

# The one line of script. JupyterLab takes keys for the notebook wherever the focus is outside a text field:
# with the focus in our list, ↓ would select the next cell and d d would delete this one. Lumino, which reads
# the keys, leaves an element alone that has this attribute (`targetDistance` in its CommandRegistry); a widget
# has no other way to set one.
_KEEP_KEYS = ("this.closest('.{}').addEventListener('focusin',"
              "event => event.target.dataset.lmSuppressShortcuts = '')")


def style_tag(css_class: str, sheet: str) -> str:
    """A style sheet for a widget of that class, which also keeps the keys pressed in it for itself."""
    return f'<style onload="{_KEEP_KEYS.format(css_class)}">{sheet}</style>'


SHEET = _SHEET.replace("&", ".k8slab-stepper.k8slab-stepper")
STYLE = style_tag("k8slab-stepper", SHEET)
