"""Colours, sizes and fonts: a quiet grey theme with one accent, no fonts from a network.

The same palette is written twice, here for Gradio's own components and in ``style.css`` for ours, because Gradio
wants its variables from Python; ``tests/ui/test_theme.py`` holds the two together.
"""

import gradio as gr

# name -> (light, dark). Contrast of text on panel is >= 7:1, of muted on panel >= 4.5:1 in both.
PALETTE: dict[str, tuple[str, str]] = {
    "bg": ("#eef0f2", "#15171a"),
    "panel": ("#ffffff", "#1c1f23"),
    "raised": ("#f5f6f8", "#24282d"),
    "line": ("#d5d9de", "#33383e"),
    "text": ("#1b1f24", "#e2e6ea"),
    "muted": ("#59626c", "#9aa3ad"),
    "accent": ("#1f6487", "#6db3d6"),
    "on-accent": ("#ffffff", "#0d1a21"),
    "ok": ("#256b45", "#6cbf8f"),
    "warn": ("#8a5a00", "#d8ab55"),
    "bad": ("#a83232", "#e58080"),
    # Curves drawn over the accent's; told apart by their dashes as well.
    "curve-a": ("#b0621b", "#d8935a"),
    "curve-b": ("#3f8350", "#72b583"),
    "curve-c": ("#a3437f", "#d087b4"),
    "curve-d": ("#6f5bb8", "#a596dc"),
    "curve-e": ("#7a7526", "#b8b263"),
}

SYSTEM_FONT = (
    "system-ui", "-apple-system", "Segoe UI", "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei",
    "sans-serif",
)
MONO_FONT = ("ui-monospace", "Cascadia Mono", "SF Mono", "Consolas", "DejaVu Sans Mono", "monospace")


def palette_css() -> str:
    """The palette as CSS custom properties ``--ts-*``, light by default and dark under ``body.dark``."""
    light = "".join(f"--ts-{name}:{pair[0]};" for name, pair in PALETTE.items())
    dark = "".join(f"--ts-{name}:{pair[1]};" for name, pair in PALETTE.items())
    return f":root{{{light}color-scheme:light}}body.dark,.dark{{{dark}color-scheme:dark}}"


def make_theme() -> gr.themes.Base:
    """Gradio's theme object for mount_gradio_app."""
    sizes = gr.themes.sizes
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.slate,
        neutral_hue=gr.themes.colors.slate,
        text_size=sizes.Size(xxs="10px", xs="11px", sm="12px", md="13px", lg="14px", xl="16px", xxl="20px",
                             name="timbre_text"),
        spacing_size=sizes.Size(xxs="1px", xs="2px", sm="4px", md="6px", lg="8px", xl="10px", xxl="14px",
                                name="timbre_space"),
        radius_size=sizes.Size(xxs="2px", xs="3px", sm="3px", md="4px", lg="4px", xl="5px", xxl="6px",
                               name="timbre_radius"),
        font=SYSTEM_FONT,
        font_mono=MONO_FONT,
    )

    def both(name: str, variable: str) -> dict[str, str]:
        light, dark = PALETTE[variable]
        return {name: light, f"{name}_dark": dark}

    values: dict[str, str] = {
        **both("body_background_fill", "bg"),
        **both("body_text_color", "text"),
        **both("body_text_color_subdued", "muted"),
        **both("background_fill_primary", "panel"),
        **both("background_fill_secondary", "raised"),
        **both("border_color_primary", "line"),
        **both("border_color_accent", "accent"),
        **both("block_background_fill", "panel"),
        **both("block_border_color", "line"),
        **both("block_label_background_fill", "panel"),
        **both("block_label_text_color", "muted"),
        **both("block_title_text_color", "text"),
        **both("block_info_text_color", "muted"),
        **both("input_background_fill", "panel"),
        **both("input_background_fill_focus", "panel"),
        **both("input_border_color", "line"),
        **both("input_border_color_focus", "accent"),
        **both("button_primary_background_fill", "accent"),
        **both("button_primary_background_fill_hover", "accent"),
        **both("button_primary_border_color", "accent"),
        **both("button_primary_text_color", "on-accent"),
        **both("button_primary_text_color_hover", "on-accent"),
        **both("button_secondary_background_fill", "panel"),
        **both("button_secondary_background_fill_hover", "raised"),
        **both("button_secondary_border_color", "line"),
        **both("button_secondary_text_color", "text"),
        **both("button_secondary_text_color_hover", "text"),
        **both("button_cancel_background_fill", "panel"),
        **both("button_cancel_background_fill_hover", "raised"),
        **both("button_cancel_border_color", "bad"),
        **both("button_cancel_text_color", "bad"),
        **both("button_cancel_text_color_hover", "bad"),
        **both("slider_color", "accent"),
        **both("checkbox_background_color", "panel"),
        **both("checkbox_background_color_selected", "accent"),
        **both("checkbox_border_color", "line"),
        **both("checkbox_border_color_selected", "accent"),
        **both("checkbox_label_background_fill", "panel"),
        **both("checkbox_label_background_fill_selected", "raised"),
        **both("checkbox_label_text_color", "text"),
        **both("checkbox_label_text_color_selected", "text"),
        **both("color_accent_soft", "raised"),
        **both("loader_color", "accent"),
        **both("accordion_text_color", "text"),
        **both("table_text_color", "text"),
        "color_accent": PALETTE["accent"][0],
        "block_label_text_size": "12px",
        "block_title_text_size": "12px",
        "block_title_text_weight": "500",
        "block_info_text_size": "11px",
        "block_border_width": "0px",
        "block_shadow": "none",
        "block_shadow_dark": "none",
        "block_padding": "0px",
        "shadow_drop": "none",
        "shadow_drop_lg": "none",
        "layout_gap": "8px",
        "form_gap_width": "0px",
        "button_border_width": "1px",
        "button_primary_shadow": "none",
        "button_secondary_shadow": "none",
        "button_large_text_weight": "500",
        "button_small_text_weight": "500",
        "button_large_padding": "6px 14px",
        "button_small_padding": "3px 10px",
        "button_large_text_size": "13px",
        "button_small_text_size": "12px",
        "button_large_radius": "4px",
        "button_small_radius": "4px",
        "input_padding": "5px 8px",
        "input_text_size": "13px",
        "input_shadow": "none",
        "input_shadow_focus": "none",
    }
    theme.set(**values)
    return theme
