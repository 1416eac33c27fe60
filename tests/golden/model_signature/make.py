"""Make the signature beside this file again, with the reference implementation.

From the top of the source tree:

  pip install model-signing pyopenssl
  python -m tests.golden.model_signature.make

The private key is made for it and thrown away.
"""

import tempfile
from pathlib import Path

import model_signing
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.golden.model_signature.facts import MODEL

HERE = Path(__file__).parent


def main() -> None:
    """Write key.pub and model.sig for a directory with one model file and one beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    (HERE / "key.pub").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with tempfile.TemporaryDirectory() as temporary:
        secret = Path(temporary) / "key.pem"
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        model = Path(temporary) / "toy"
        model.mkdir()
        (model / "toy.onnx").write_bytes(MODEL)
        (model / "README.md").write_bytes(b"About the model.\n")
        signing = model_signing.signing.Config().use_elliptic_key_signer(private_key=secret)
        signing.sign(model, HERE / "model.sig")


if __name__ == "__main__":
    main()
