import io

from PIL import Image, ImageDraw, ImageFilter


def handler(event, context):
    image = Image.new("RGB", (200, 100), event)
    ImageDraw.Draw(image).text((10, 10), "order", fill="white")
    image = image.filter(ImageFilter.GaussianBlur(2))
    image.thumbnail((50, 50), Image.Resampling.LANCZOS)
    sizes = []
    for format in ("JPEG", "PNG", "WEBP"):
        file = io.BytesIO()
        image.save(file, format)
        sizes.append([len(file.getvalue()), list(Image.open(file).size)])
    return sizes
