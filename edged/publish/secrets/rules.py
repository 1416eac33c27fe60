"""The forms secrets have: one table. Pure.

Two kinds of rules exist. Most forms are *certain*: their makers gave them a prefix, a length and an alphabet, so that a match is hardly
ever anything else; they are looked for in every file, weights included. The rest say what a text means (``password = ...``), which
only text can. Strings that merely look random are judged in ``edged.publish.secrets.randomness``.

Prefixes, lengths and alphabets are those the issuers document or that their tokens are seen to have. Every pattern is bounded, so that no
file can make it slow, and no match is longer than ``MAX_MATCH_BYTES``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_MATCH_BYTES: Final = 8192

# What people write where a secret would be: a reference to it, or a word that says what goes there.
_STAND_IN: Final = re.compile(
    rb"[$<{\[(%*].*|.*[(){}<>\[\]$*].*|(.)\1*|(?:your|my|the|some|an?)[-_. ].*|x{3,}.*"
    rb"|(?:os|env|process|config|settings|self|args|options|secrets|params|string|get)[._].*"
    rb"|none|null|nil|undefined|true|false|required|optional|string|str|bytes|password|passwd|passphrase|secret|token|changeme|change-me"
    rb"|example.*|placeholder.*|redacted.*|dummy.*|hidden|unset|empty|prompt",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One form of secret."""

    name: str
    what: str
    """For people."""
    anchors: tuple[bytes, ...]
    """Every match has one of these in it, in lower case where ``is_folded``, so that data without them are passed over quickly."""
    pattern: re.Pattern[bytes]
    """Its group ``secret`` is what must not be shown."""
    loose: re.Pattern[bytes] | None = None
    """The same for binary files, where a length or a tag that looks like a letter may stand right beside a text; None: not looked for."""
    is_folded: bool = False
    """It matches whatever the case: its pattern is for lower case."""
    may_stand_in: bool = False
    """What it finds may be a word in place of a secret, which is no finding."""

    def find(self, data: bytes, folded: bytes, *, is_text: bool) -> Iterator[re.Match[bytes]]:
        """Go through the matches in ``data``, which is ``folded`` in lower case."""
        pattern = self.pattern if is_text else self.loose
        text = folded if self.is_folded else data
        if pattern is None or not any(anchor in text for anchor in self.anchors):
            return
        for match in pattern.finditer(text):
            if not (self.may_stand_in and _STAND_IN.fullmatch(match["secret"])):
                yield match


def _form(name: str, what: str, *anchors: str, body: str, before: str = "", after: str = "") -> Rule:
    """Return the rule for what has a form of its own; in a text, ``before`` and ``after`` tell where it begins and ends."""
    return Rule(
        name=name,
        what=what,
        anchors=tuple(anchor.encode() for anchor in anchors),
        pattern=re.compile(f"{before}{body}{after}".encode()),
        loose=re.compile(body.encode()),
    )


def _token(name: str, what: str, *prefixes: str, rest: str) -> Rule:
    """Return the rule for a token with one of these prefixes."""
    body = f"(?:{'|'.join(map(re.escape, prefixes))})(?P<secret>{rest})"
    return _form(name, what, *prefixes, body=body, before="(?<![A-Za-z0-9_])", after="(?![A-Za-z0-9])")


def _context(name: str, what: str, *anchors: str, body: str, after: str = "", is_certain: bool = True) -> Rule:
    """Return the rule for what its surroundings make a secret, whatever their case."""
    return Rule(
        name=name,
        what=what,
        anchors=tuple(anchor.encode() for anchor in anchors),
        pattern=re.compile(f"{body}{after}".encode()),
        loose=re.compile(body.encode()) if is_certain else None,
        is_folded=True,
        may_stand_in=not is_certain,
    )


_IS: Final = r"""["']?\s{0,8}(?:[:=]|:=|=>)\s{0,8}["']?"""

RULES: Final = (
    # The first line alone is enough: what follows may be cut off, encrypted, or escaped in any way.
    _form(
        "private-key",
        "a private key",
        "-----BEGIN ",
        body=r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?P<secret>(?:(?:\s|\\[nr]){1,4}[A-Za-z0-9+/=]{32,80}){0,80})",
    ),
    _form(
        "private-key",
        "a private key of SSH2",
        "---- BEGIN SSH2 ENCRYPTED PRIVATE",
        body=r"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY(?P<secret>)",
    ),
    _form(
        "private-key",
        "a private key of PuTTY",
        "PuTTY-User-Key-File-",
        body=r"PuTTY-User-Key-File-[1-9]: (?P<secret>[a-z0-9-]{3,40})",
    ),
    _token("age-key", "a private key of age", "AGE-SECRET-KEY-1", rest="[02-9AC-HJ-NP-Z]{58}"),
    _token("aws-access-key", "an access key ID of AWS", "AKIA", "ASIA", "ABIA", "ACCA", rest="[A-Z2-7]{16}"),
    _context(
        "aws-secret-key",
        "a secret access key of AWS",
        "secret",
        body=rf"secret_?(?:access_?)?key{_IS}(?P<secret>[a-z0-9/+]{{40}})",
        after="(?![a-z0-9/+=])",
    ),
    _token("google-api-key", "an API key of Google", "AIza", rest="[A-Za-z0-9_-]{35}"),
    _token("google-oauth", "a client secret or token of Google", "GOCSPX-", "ya29.", rest="[A-Za-z0-9_-]{20,1024}"),
    _context(
        "azure-key",
        "a key of Azure",
        "accountkey=",
        "sharedaccesskey=",
        body=r"(?:accountkey|sharedaccesskey)=(?P<secret>[a-z0-9+/]{40,90}={1,2})",
    ),
    _context(
        "azure-signature",
        "a shared access signature of Azure",
        "sig=",
        body=r"(?<=[?&;])sig=(?P<secret>(?:[a-z0-9+/]|%2[bf]){43,90}(?:=|%3d))",
    ),
    _form(
        "azure-client-secret",
        "a client secret of Azure",
        "Q~",
        body="(?P<secret>[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})",
        before="(?<![A-Za-z0-9_~.-])",
        after="(?![A-Za-z0-9_~.-])",
    ),
    _token("github-token", "a token of GitHub", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", rest="[A-Za-z0-9]{36,255}"),
    _token("github-token", "a token of GitHub", "github_pat_", rest="[A-Za-z0-9_]{40,255}"),
    _token(
        "gitlab-token",
        "a token of GitLab",
        *("glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glft-", "glsoat-", "glagent-", "gloas-", "GR1348941"),
        rest="[A-Za-z0-9_.-]{20,255}",
    ),
    _token(
        "slack-token",
        "a token of Slack",
        *("xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xapp-"),
        rest="[A-Za-z0-9-]{20,255}",
    ),
    _token(
        "slack-webhook",
        "the address of a Slack webhook",
        "hooks.slack.com/",
        rest="(?:services|workflows|triggers)/[A-Za-z0-9/]{30,100}",
    ),
    _token(
        "stripe-key",
        "a key of Stripe",
        *("sk_live_", "rk_live_", "sk_test_", "rk_test_", "whsec_"),
        rest="[A-Za-z0-9]{16,255}",
    ),
    _token("huggingface-token", "a token of Hugging Face", "hf_", "api_org_", rest="[A-Za-z0-9]{34,40}"),
    _token("npm-token", "a token of npm", "npm_", rest="[A-Za-z0-9]{36}"),
    _token("pypi-token", "a token of PyPI", "pypi-Ag", rest="[A-Za-z0-9_-]{60,1024}"),
    _token(
        "model-api-key",
        "a key of a hosted model",
        *("sk-proj-", "sk-svcacct-", "sk-admin-", "sk-ant-", "sk-or-v1-"),
        rest="[A-Za-z0-9_-]{32,255}",
    ),
    # Letters and digits only: names of nodes may have such a beginning (layer8_...) and go on with words and underscores.
    _token("model-api-key", "a key of a hosted model", "gsk_", "r8_", rest="[A-Za-z0-9]{36,52}"),
    _form(
        "model-api-key",
        "a key of a hosted model",
        "T3BlbkFJ",
        body="sk-(?P<secret>[A-Za-z0-9_-]{16,100}T3BlbkFJ[A-Za-z0-9_-]{16,100})",
        before="(?<![A-Za-z0-9_])",
    ),
    _token("sendgrid-key", "a key of SendGrid", "SG.", rest=r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    _token("digitalocean-token", "a token of DigitalOcean", "dop_v1_", "doo_v1_", "dor_v1_", rest="[a-f0-9]{64}"),
    _token("shopify-token", "a token of Shopify", "shpat_", "shpca_", "shppa_", "shpss_", rest="[A-Fa-f0-9]{32}"),
    _token("vault-token", "a token of Vault", "hvs.", "hvb.", "hvr.", rest="[A-Za-z0-9_-]{24,255}"),
    _token("docker-token", "a token of Docker Hub", "dckr_pat_", "dckr_oat_", rest="[A-Za-z0-9_-]{24,40}"),
    _token("databricks-token", "a token of Databricks", "dapi", rest="[a-f0-9]{32}(?:-[0-9])?"),
    _form(
        "terraform-token",
        "a token of Terraform Cloud",
        ".atlasv1.",
        body=r"(?P<secret>[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,80})",
        before="(?<![A-Za-z0-9])",
    ),
    _form(
        "telegram-token",
        "a token of a Telegram bot",
        ":AA",
        body="(?P<secret>[0-9]{8,10}:AA[A-Za-z0-9_-]{33})",
        before="(?<![0-9])",
        after="(?![A-Za-z0-9_-])",
    ),
    _token(
        "json-web-token",
        "a JSON web token",
        "eyJ",
        rest=r"[A-Za-z0-9_-]{10,500}\.eyJ[A-Za-z0-9_-]{10,900}\.[A-Za-z0-9_-]{10,600}",
    ),
    _context(
        "url-password",
        "a password in an address",
        "://",
        body=r"://(?P<secret>[^\s/:@\"'<>{}$\\\x00-\x1f]{0,100}:[^\s/:@\"'<>{}$*\\\x00-\x1f]{3,200})@[a-z0-9\[]",
    ),
    _context(
        "netrc-password",
        "a password for a machine",
        "machine",
        body=r"machine\s{1,8}\S{1,100}\s{1,8}login\s{1,8}\S{1,100}\s{1,8}password\s{1,8}(?P<secret>\S{3,200})",
    ),
    _context(
        "bearer-token",
        "a token in a header",
        "authorization",
        body=r"authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:bearer|basic|token)\s{1,4}(?P<secret>[a-z0-9_.~+/=-]{16,1000})",
        is_certain=False,
    ),
    _context(
        "password",
        "a password",
        *(
            "password",
            "passwd",
            "passphrase",
            "secret",
            "apikey",
            "api_key",
            "api-key",
            "_token",
            "-token",
            "authtoken",
        ),
        body=(
            r"(?:password|passwd|passphrase|(?<![a-z])secret|secret[_-]?key|api[_-]?key|auth[_-]?token|access[_-]?token|refresh[_-]?token"
            rf"|api[_-]?token|client[_-]?secret){_IS}(?P<secret>[^\s\"',;#&]{{6,200}})"
        ),
        is_certain=False,
    ),
)
