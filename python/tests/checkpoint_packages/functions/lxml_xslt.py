from lxml import etree

STYLE = etree.XSLT(
    etree.XML("""<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0">
        <x:template match="/order"><total><x:value-of select="sum(item/@price)"/></total></x:template>
    </x:stylesheet>""")
)


def handler(event, context):
    try:
        tree = etree.fromstring(event)
    except etree.XMLSyntaxError as error:
        return str(error.position)
    return [tree.xpath("//item[@price > 1]/text()"), str(STYLE(tree).getroot().text), etree.tostring(tree).decode()]
