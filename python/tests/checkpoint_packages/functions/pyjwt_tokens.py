import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

key = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def handler(event, context):
    token = jwt.encode({"sub": event}, key, algorithm="RS256")
    try:
        jwt.decode(token[:-4] + "AAAA", key.public_key(), algorithms=["RS256"])
    except jwt.InvalidSignatureError as error:
        return [jwt.decode(token, key.public_key(), algorithms=["RS256"])["sub"], str(error)]
