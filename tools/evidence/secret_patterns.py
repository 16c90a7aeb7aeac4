"""Tables behind `secrets`: shapes of vendors' keys, names that hold none, values that are none.

Every pattern is linear: bounded repeats of one class, nothing nested.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

MASK: Final = "***"

Vendor: TypeAlias = tuple[str, tuple[str, ...], re.Pattern[str]]
# Kind, words of which one stands (in lower case) in every match, pattern.
_TABLE: Final[tuple[tuple[str, str, str], ...]] = (
    ("AWS access key", "akia asia abia acca", r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b"),
    ("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh[pousr]_[A-Za-z0-9]{20,255}"),
    ("GitHub token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{20,255}"),
    ("GitLab token", "glpat- gldt- glrt- glptt-", r"\bgl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{16,255}"),
    ("Slack token", "xox xapp-", r"\b(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,255}"),
    ("Slack webhook", "hooks.slack.com", r"hooks\.slack\.com/services/[A-Za-z0-9/_-]{5,200}"),
    (
        "Discord webhook",
        "api/webhooks",
        r"discord(?:app)?\.com/api/webhooks/\d{10,24}/[\w-]{20,100}",
    ),
    ("Teams webhook", "webhookb2", r"webhook\.office\.com/webhookb2/[\w@/-]{40,300}"),
    ("Hugging Face token", "hf_ api_org_", r"\b(?:hf|api_org)_[A-Za-z0-9]{20,255}"),
    ("API key of OpenAI or Anthropic", "sk-", r"\bsk-[A-Za-z0-9_-]{16,255}"),
    ("Google API key", "aiza", r"\bAIza[0-9A-Za-z_-]{30,60}"),
    ("Google OAuth secret", "gocspx-", r"\bGOCSPX-[\w-]{20,60}"),
    ("Google OAuth token", "ya29.", r"\bya29\.[\w-]{20,300}"),
    ("Azure storage key", "accountkey=", r"(?i)\bAccountKey=[A-Za-z0-9+/=]{40,120}"),
    (
        "Azure shared access key",
        "sharedaccesskey=",
        r"(?i)\bSharedAccessKey=[A-Za-z0-9+/=]{20,120}",
    ),
    ("Azure SAS signature", "sig=", r"[?&]sig=[A-Za-z0-9%+/=]{30,120}"),
    ("W&B API key", "wandb", r"(?i)(?<=wandb)[^\n]{1,40}?\b[0-9a-f]{40}\b"),
    ("Neptune token", "eyjhcgl", r"\beyJhcGlfYWRkcmVzcyI6[A-Za-z0-9+/=_-]{40,600}"),
    ("Kaggle key", '"key"', r"\"key\"\s{0,4}:\s{0,4}\"[0-9a-f]{32}\""),
    ("Databricks token", "dapi", r"\bdapi[0-9a-f]{32}\b"),
    ("Stripe key", "sk_ rk_", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}"),
    ("SendGrid key", "sg.", r"\bSG\.[\w-]{16,32}\.[\w-]{32,64}"),
    ("Twilio key", "sk", r"\bSK[0-9a-f]{32}\b"),
    ("npm token", "npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("PyPI token", "pypi-ageich", r"\bpypi-AgEIcHlwaS[\w-]{40,300}"),
    ("Docker Hub token", "dckr_", r"\bdckr_(?:pat|oat)_[\w-]{20,60}"),
    (
        "private key",
        "private key",
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----.{0,2000}",
    ),
    ("JSON web token", "eyj", r"\beyJ[A-Za-z0-9_-]{8,500}\.[A-Za-z0-9_.-]{8,1500}"),
    ("password in a URL", "://", r"(?<=://)[^\s/@:'\"]{0,200}:[^\s/@'\"]{1,200}(?=@)"),
    (
        "authorization header",
        "basic",
        r"(?i)(?<=authorization)[\"']?\s{0,3}[:=,]\s{0,3}[\"']?basic [A-Za-z0-9+/=]{12,300}",
    ),
    (
        "authorization header",
        "bearer",
        r"(?i)(?<=authorization)[\"']?\s{0,3}[:=,]\s{0,3}[\"']?bearer [A-Za-z0-9._~+/=-]{20,800}",
    ),
    ("Mailgun key", "key-", r"\bkey-[0-9a-f]{32}\b"),
    ("Mailchimp key", "-us", r"\b[0-9a-f]{32}-us\d{1,2}\b"),
    ("Telegram bot token", ":aa", r"\b\d{8,10}:AA[\w-]{32,35}\b"),
    ("Prefect key", "pnu_ pnb_", r"\bpn[ub]_[A-Za-z0-9]{30,60}\b"),
    ("Replicate token", "r8_", r"\br8_[A-Za-z0-9]{30,60}\b"),
    ("Groq key", "gsk_", r"\bgsk_[A-Za-z0-9]{30,80}\b"),
    ("Pinecone key", "pcsk_", r"\bpcsk_[A-Za-z0-9_]{30,120}\b"),
    ("LangSmith key", "lsv2_", r"\blsv2_(?:pt|sk)_[0-9a-f_]{30,60}\b"),
    ("Perplexity key", "pplx-", r"\bpplx-[A-Za-z0-9]{30,80}\b"),
    ("DigitalOcean token", "_v1_", r"\bdo[opr]_v1_[0-9a-f]{40,80}\b"),
    ("Vault token", "hvs. hvb.", r"\bhv[bs]\.[\w-]{24,200}"),
    ("Terraform token", ".atlasv1.", r"\b[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,100}"),
    ("Grafana token", "glsa_ glc_", r"\b(?:glsa|glc)_[A-Za-z0-9_+/=]{30,400}"),
    ("New Relic key", "nrak-", r"\bNRAK-[A-Z0-9]{20,40}\b"),
    ("Notion token", "ntn_", r"\bntn_[A-Za-z0-9]{30,60}\b"),
    ("Linear key", "lin_api_", r"\blin_api_[A-Za-z0-9]{30,60}\b"),
    ("Postman key", "pmak-", r"\bPMAK-[0-9a-f-]{40,80}\b"),
)
PATTERNS: Final = tuple(re.compile(pattern) for _, _, pattern in _TABLE)
VENDORS: Final[tuple[Vendor, ...]] = tuple(
    (kind, tuple(words.split(" ") if " " in words and words != "private key" else (words,)), found)
    for (kind, words, _), found in zip(_TABLE, PATTERNS, strict=True)
)
# Kinds whose match may hold a blank; any other stands in one word of at least so many characters.
_SPACED: Final = (
    *("private key", "password in a URL", "authorization header", "Kaggle key", "W&B API key"),
)
_LEAST: Final = 15
_DENSE: Final = tuple((w, v) for v in VENDORS if v[0] not in _SPACED for w in v[1])
_LOOSE: Final = tuple((w, v) for v in VENDORS if v[0] in _SPACED for w in v[1])
_CONTEXT: Final = (("://", "@"), ("sk", "twilio"))  # the second, only for what is to be certain
_DIGIT: Final = re.compile(r"\d")


def vendors_in(low: str, *, digits: bool = False) -> dict[str, list[Vendor]]:
    """Rows of the table that a text, in lower case, may hold a key of, by the word seen.

    Looks only at words long enough for a key, and on request only at those with a digit.
    """
    found: dict[str, list[Vendor]] = {}
    words = [w for w in low.split() if len(w) >= _LEAST]
    if digits:
        words = [w for w in words if _DIGIT.search(w)]
    long = "\n".join(words)
    for word, vendor in _DENSE if long else ():
        if word in long:
            found.setdefault(word, []).append(vendor)
    for word, vendor in _LOOSE:
        if word in low:
            found.setdefault(word, []).append(vendor)
    for word, context in _CONTEXT if digits else _CONTEXT[:1]:
        if word in found and context not in low:
            del found[word]
    return found


KEY_WORDS: Final = (
    r"passw(?:or)?d|passphrase|pwd|secret|token|api_?key|apikey|access_?key|"
    r"access_?key_?id|private_?key|"
    r"secret_?key|account_?key|auth_?key|credentials?|connection_?string|conn_?str"
)
# Names that hold a keyword and yet name no secret.
NO_SECRET_NAME: Final = re.compile(
    r"(?i)(?:^|[_.-])(?:pad|eos|bos|unk|cls|sep|mask|next|special|stop|start|end|page|sort|primary|"
    r"foreign|continuation|max|min|num|n|added|image|extra|new|total|prompt|completion|input|output|"
    r"context|chunk|first|last|target|source|label|decoder|encoder|blank|sos|word|sub|oov|csrf|"
    r"per|no|use|has|is|with|enable|enabled|require|requires|required|show|reset|forgot|count|"
    r"image_pull|existing|external|cancellation|synchronizer|img|vision|subword|split|padding|"
    r"additional|model_input|custom|cached|reserved)[_.-]?(?:token|secret|password|key|pass)s?(?:$|[_.-])"
    r"|tokens$|tokeni[sz]|tokenid|token_?(?:id|ids|type|url|uri|endpoint|count|len|length|limit|size|"
    r"embedding|class|classification|index|idx|level|dim|name|file|path|expir\w{0,8}|ttl|lifetime|"
    r"budget|usage|pattern|dir|format|location|freq\w{0,8}|map|vocab|mask|emb\w{0,8}|indices)"
    r"|(?:secret|password|passwd|token|key)[_.-]?(?:name|names|ref|file|path|arn|manager|manager_\w{1,20}|"
    r"provider|store|backend|version|class|type|field|env|var|variable|policy|length|len|hash|hashed|"
    r"prompt|label|input|url|uri|id_?env|vault|scope|selector|template|required|rotation|engine|"
    r"validator|reset|encoder|context|hint|column|col|placeholder|mount\w{0,8}|volume|prefix|suffix)(?:$|[_.-])"
    r"|secretkeyref|secretref|secretname|serviceaccounttoken|automount|imagepullsecret|valuefrom"
    r"|passwordless|password_?(?:authentication|auth|protected)|secretsmanager|passthrough"
    r"|personal_?data|public_?key|key_?vault|kms|key_?space|keyfile|bypass|compass"
)
HARMLESS: Final = re.compile(
    r"(?i)^(?:none|null|nil|true|false|str|int|bytes|optional|required|string|undefined|env\b|os\.|self\.|cls\.|"
    r"settings\.|config\.|cfg\.|conf\.|var\.|local\.|data\.|module\.|args\.|params\.|request|get|secrets?\.|"
    r"secrets?/|process\.env|vault:|vault/|projects/|arn:|ssm:|kms:|akv:|enc\[|aws_secretsmanager|"
    r"xxx|x{3,}|change|your|my[_-]?(?:secret|token|key|pass)|example|sample|placeholder|todo|fixme|dummy|fake|mock|"
    r"insert|enter|replace|put[_-]|test[_-]?(?:token|key|secret|password)|\*+$|\.+$|-+$|_+$|#+|"
    r"/|\./|\.\./|~|\\\\|https?://|gs://|s3://|file:|env:|env\[|base64|sha256|sha1|"
    r"secretkeyref|valuefrom|literal|secretstr|field\(|password\)?$|token\)?$)"
)
POINTS: Final = re.compile(
    r"\$|\{\{|\{%|<[\w -]{1,60}>|%\(|%[sd]|\}\}|getenv|environ|get_secret|secret_manager|"
    r"secretsmanager|\.get\(|\[[\"']|\(\)|\{[\w.]{0,40}\}|\.{3}|:::|\\u003c"
)
FAKE: Final = (
    *("example", "changeme", "change_me", "change-me", "placeholder", "your_", "your-", "yourpass"),
    *("yourtoken", "yourkey", "yoursecret", "dummy", "redacted", "fake", "replace", "xxxx", "****"),
    *("insert", "_here", "-here", "todo", "sample", "notreal", "not-real", "not_a_", "deadbeef"),
    *("000000000000", "1234567890abcdef", "abcdefghij", "mypassword", "my_password", "my-secret"),
    *("secret_name", "sup3rs", "lorem", "foobar", "abc123", "123abc", "1a2b3c", "some_", "some-"),
    "<",
)
# Published in manuals: everybody knows them, nobody is harmed.
PUBLIC: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq",
    "eyJzdWIiOiIxMjM0NTY3ODkw",
    "46BKJoQYlPPOexq0OhDZnIlNepKFf87WFwLbfzqDDho",
)
DEFAULTS: Final = frozenset(
    "admin administrator password passw0rd password1 password123 pass pass123 postgres postgresql"
    " root toor airflow minio minio123 minioadmin minio_password miniostorage guest test test123"
    " testing example mlflow mysql mariadb secret changeme 123 1234 12345 123456 12345678"
    " 123456789 docker grafana rabbitmq redis mongo mongodb elastic superset feast prefect"
    " dagster jovyan hive hadoop kafka sa qwerty letmein welcome zenml dbt metabase flower"
    " admin123 admin1234 root123 postgres123 mlflow123 airflow123 magic cassandra neo4j"
    " oracle awsaccesskey awssecretkey accesskey secretkey minio-password minio-admin flyte"
    " temporary_key supersecret devpassword localpassword jupyter".split()
)

# Names that hold a secret.
KEYWORD: Final = re.compile(
    r"(?i)passw(?:or)?d|passphrase|(?<![a-z])pwd|(?<![a-z])pass(?![a-z])|secret|token|api[_-]?key|"
    r"access[_-]?key|private[_-]?key|account[_-]?key|auth[_-]?key|fernet[_-]?key|"
    r"(?:signing|encryption|storage|subscription)[_-]?key"
)
# The same for a whole text in lower case, each part begun by what is searched for fast.
_KEYS: Final = re.compile(
    "key(?:"
    + "|".join(
        rf"(?<={word}key)|(?<={word}[_-]key)"
        for word in (
            *("api", "access", "private", "account", "auth", "fernet", "signing", "encryption"),
            *("storage", "subscription"),
        )
    )
    + ")"
)
_PASSES: Final = re.compile(r"pass(?:w|phrase|[=:]| =|(?<=_pass))")
_PLAIN: Final = tuple((w, re.compile(w)) for w in ("pwd", "secret", "token"))
FINDERS: Final = (*_PLAIN, ("key", _KEYS), ("pass", _PASSES))
