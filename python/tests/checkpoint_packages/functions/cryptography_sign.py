from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

key = ec.generate_private_key(ec.SECP256R1())
box = Fernet(Fernet.generate_key())


def handler(event, context):
    message = event.encode()
    signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
    key.public_key().verify(signature, message, ec.ECDSA(hashes.SHA256()))
    try:
        key.public_key().verify(signature, message + b"!", ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return box.decrypt(box.encrypt(message)).decode()
