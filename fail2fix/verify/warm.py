"""Warm up the symbolic rung on import: the fork server imports this module, so every worker starts warm.

math-verify's grammar and sympy fill lookahead tables and caches; the first expressions of each kind cost ten times as
much as later ones. Must not be imported elsewhere.
"""

from fail2fix.verify.symbolic import computed

PAIRS = (
    (r"\frac{x+2}{7}", r"\frac{x}{7}+\frac{2}{7}"),
    (r"2\sqrt{3}", r"\sqrt{12}"),
    (r"x^{2}-1", "(x-1)(x+1)"),
    (r"\frac{\pi}{3}+2\pi k", r"2k\pi+\frac{\pi}{3}"),
    (r"e^{-x^2}", r"\frac{1}{e^{x^2}}"),
    (r"\log_{2} 6", r"1+\log_{2} 3"),
    (r"\sin(2x)", r"2\sin x\cos x"),
    (r"\begin{pmatrix} 1 & x \\ 0 & 2 \end{pmatrix}", r"\begin{pmatrix} 1 & x \\ 0 & \frac{4}{2} \end{pmatrix}"),
    (r"y = 2x+1", r"y-1 = 2x"),
    (r"x < 3", r"3 > x"),
    (r"\frac{n(n+1)}{2}", r"\frac{n^{2}+n}{2}"),
    (r"a_{1}+b_{2}", r"b_{2}+a_{1}"),
    (r"\binom{n}{2}", r"\frac{n!}{2(n-2)!}"),
    (r"|x-1|", r"|1-x|"),
    (r"3+4i", r"4i+3"),
)

for gold, pred in PAIRS:
    computed(gold, pred)
