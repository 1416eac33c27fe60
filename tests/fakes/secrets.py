"""Made-up secrets in the forms that real ones have; put together here, so that no scanner takes this repository's files for leaks."""

import random
import string
from collections.abc import Mapping

UPPER, LOWER, DIGITS = string.ascii_uppercase, string.ascii_lowercase, string.digits
WORD = UPPER + LOWER + DIGITS
URL = WORD + "-_"
HEX = DIGITS + "abcdef"


def draw(alphabet: str, length: int, seed: int = 1) -> str:
    """Return a random text, always the same; it begins and ends with letters or digits."""
    source = random.Random(f"{alphabet}{length}{seed}")
    ends = [character for character in alphabet if character.isalnum()]
    return source.choice(ends) + "".join(source.choices(alphabet, k=length - 2)) + source.choice(ends)


def pem(kind: str = "") -> str:
    """Return a private key in PEM's form; ``kind`` is what its first line says of it."""
    label = f"{kind}PRIVATE KEY"
    body = "\n".join(draw(WORD + "+/", 64, seed) for seed in range(3))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


CERTAIN: Mapping[str, tuple[str, str]] = {
    "pkcs8": ("private-key", pem()),
    "encrypted pkcs8": ("private-key", pem("ENCRYPTED ")),
    "rsa": ("private-key", pem("RSA ")),
    "ec": ("private-key", pem("EC ")),
    "dsa": ("private-key", pem("DSA ")),
    "openssh": ("private-key", pem("OPENSSH ")),
    "pgp": ("private-key", f"-----BEGIN PGP PRIVATE KEY {'BLOCK'}-----\n\n{draw(WORD, 64)}\n"),
    "pem in json": ("private-key", pem().replace("\n", "\\n")),
    "ssh2": ("private-key", f"---- BEGIN SSH2 ENCRYPTED PRIVATE {'KEY'} ----\n"),
    "putty": ("private-key", f"PuTTY-User-Key-{'File'}-3: ssh-ed25519\nEncryption: none\n"),
    "age": ("age-key", "AGE-SECRET-" + "KEY-1" + draw("023456789ACDEFGHJKLMNPQRSTUVWXYZ", 58)),
    "aws id": ("aws-access-key", "AKI" + "A" + draw(UPPER + "234567", 16)),
    "aws session id": ("aws-access-key", "ASI" + "A" + draw(UPPER + "234567", 16)),
    "aws secret": ("aws-secret-key", "aws_secret_access_key" + " = " + draw(WORD + "/+", 40)),
    "google api": ("google-api-key", "AIz" + "a" + draw(URL, 35)),
    "google oauth": ("google-oauth", "GOCSPX" + "-" + draw(URL, 28)),
    "azure storage": ("azure-key", "AccountName=a;Account" + "Key=" + draw(WORD + "+/", 86) + "=="),
    "azure bus": ("azure-key", "SharedAccess" + "Key=" + draw(WORD + "+/", 43) + "="),
    "azure sas": ("azure-signature", "?sv=2024-01-01&si" + "g=" + draw(WORD, 43) + "%3D"),
    "azure client": ("azure-client-secret", "aB3" + "8Q" + "~" + draw(URL, 34)),
    "github": ("github-token", "gh" + "p_" + draw(WORD, 36)),
    "github app": ("github-token", "gh" + "s_" + draw(WORD, 36)),
    "github fine": ("github-token", "github" + "_pat_" + draw(WORD, 22) + "_" + draw(WORD, 59)),
    "gitlab": ("gitlab-token", "glpat" + "-" + draw(URL, 20)),
    "slack": ("slack-token", "xox" + "b-" + draw(DIGITS, 12) + "-" + draw(WORD, 24)),
    "slack hook": ("slack-webhook", "hooks.slack" + ".com/services/T" + draw(UPPER, 9) + "/B" + draw(WORD, 32)),
    "stripe": ("stripe-key", "sk_" + "live_" + draw(WORD, 24)),
    "hugging face": ("huggingface-token", "h" + "f_" + draw(LOWER + UPPER, 34)),
    "npm": ("npm-token", "np" + "m_" + draw(WORD, 36)),
    "pypi": ("pypi-token", "pypi" + "-AgEIcHlwaS5vcmc" + draw(URL, 120)),
    "project key": ("model-api-key", "sk" + "-proj-" + draw(URL, 80)),
    "older key": ("model-api-key", "sk" + "-" + draw(WORD, 20) + "T3Blbk" + "FJ" + draw(WORD, 20)),
    "sendgrid": ("sendgrid-key", "S" + "G." + draw(URL, 22) + "." + draw(URL, 43)),
    "digitalocean": ("digitalocean-token", "dop" + "_v1_" + draw(HEX, 64)),
    "shopify": ("shopify-token", "shp" + "at_" + draw(HEX, 32)),
    "vault": ("vault-token", "hv" + "s." + draw(WORD, 24)),
    "docker": ("docker-token", "dckr" + "_pat_" + draw(URL, 27)),
    "databricks": ("databricks-token", "dap" + "i" + draw(HEX, 32)),
    "terraform": ("terraform-token", draw(WORD, 14) + ".atlas" + "v1." + draw(URL, 67)),
    "telegram": ("telegram-token", draw(DIGITS, 10) + ":A" + "A" + draw(URL, 33)),
    "jwt": ("json-web-token", "ey" + "J" + draw(URL, 33) + ".ey" + "J" + draw(URL, 60) + "." + draw(URL, 43)),
    "url": ("url-password", "https://build:" + draw(WORD, 12) + "@" + "git.example.org/models.git"),
    "netrc": ("netrc-password", "machine models.example.org login build password " + draw(WORD, 14)),
}
"""By name: the rule that has to find it, and a secret whose form makes it certain."""

IN_TEXT: Mapping[str, tuple[str, str]] = {
    "env": ("password", "DB_PASSWORD" + "=" + draw(WORD, 12)),
    "yaml": ("password", "  password" + ": hunter2hunter2"),
    "json": ("password", '{"client_secret"' + f': "{draw(WORD, 20)}"' + "}"),
    "api key": ("password", "api-key" + " = '" + draw(WORD, 16) + "'"),
    "header": ("bearer-token", "Authorization" + ": Bearer " + draw(URL, 30)),
    "base64": ("random", f"KEY {draw(WORD + '+/', 44)}"),
    "hex": ("random", f"key {draw(HEX, 64)}"),
}
"""The same for what only a text can say."""
