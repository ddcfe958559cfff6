"""Words of every format that is read, to be put where they do not belong: see fuzz.py."""

from __future__ import annotations

_XML = (
    b"<", b">", b"/>", b"</", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"&#0;", b"&#xFFFE;", b"&amp;",
    b"<?x ?>", b"<!DOCTYPE x>", b'="', b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"xmlns:w='x'", b" ",
)  # fmt: skip
WORDS: dict[str, tuple[bytes, ...]] = {
    "docx": (
        *_XML, b"<w:p>", b"</w:p>", b"<w:r>", b"</w:r>", b"<w:t>", b"</w:t>", b"<w:tbl>",
        b"</w:tbl>", b"<w:tr>", b"</w:tr>", b"<w:tc>", b"</w:tc>", b"<w:sdt>", b"<w:sdtContent>",
        b"<w:ins>", b"<w:del>", b"<w:vanish/>", b"<w:numPr>", b'<w:numId w:val="2"/>',
        b"<w:sectPr/>", b'<w:fldChar w:fldCharType="begin"/>', b'<w:fldChar w:fldCharType="end"/>',
        b"<w:tab/>", b'<w:fldChar w:fldCharType="separate"/>', b"<w:lastRenderedPageBreak/>",
        b"<w:br/>", b'<w:br w:type="page"/>', b"<w:txbxContent>",
        b'<w:footnoteReference w:id="1"/>', b'<w:vMerge w:val="restart"/>', b"<w:vMerge/>",
        b'w:val="-1"', b'w:val="99999999999"', b"mc:AlternateContent", b"mc:Choice", b"<w:pPr>",
        b"<w:rPr>", b'w:val="%9%1"',
    ),
    "odt": (
        *_XML, b"<text:p>", b"</text:p>", b"<text:h>", b"<text:span>", b"<text:list>",
        b"</text:list>", b"<text:list-item>", b"<text:list-header>", b"<table:table>",
        b"<table:table-row>", b"<table:table-cell>", b"<table:covered-table-cell/>", b"<text:note>",
        b"<text:s/>", b"<text:soft-page-break/>", b"<text:tracked-changes>", b"<draw:text-box>",
        b"<text:tab/>", b'text:level="0"', b'text:style-name="Clauses"', b'text:outline-level="99"',
        b'text:display-levels="99"', b"<office:text>", b"<office:automatic-styles>",
    ),
    "html": (
        *_XML, b"<p>", b"</p>", b"<div>", b"<table>", b"<tr>", b"<td>", b"</td>", b"</table>",
        b"<ul>", b"<ol start=9 reversed>", b"<li value=-3>", b"</li>", b"<pre>", b"</pre>",
        b"<sup>1", b"<script>", b"</script>", b"<style>.x{display:none}", b"</style>",
        b"<ix:header>", b"<td rowspan=999 colspan=999>", b'<p style="page-break-before:always">',
        b"<textarea>", b"<title>", b"<plaintext>", b"<svg>", b"<math>", b"<template>", b"<select>",
        b"<br>", b"<meta charset=utf-16>", b"<meta charset=shift_jis>", b"<base href=x>",
        b"<frameset>", b"&nbsp", b"&#x110000;", b"&#xD800;", b"<input value=",
        b'<font face="Wingdings">',
    ),
    "md": (
        *_XML, b"# ", b"\n---\n", b"\n===\n", b"- ", b"\n1. ", b"999999999) ", b"> ", b"    ",
        b"\t", b"```", b"~~", b"**", b"_", b"`", b"[", b"](", b"![", b"]: ", b"|", b"|--:|", b"\\",
        b"<b>", b"</b>", b"<table>", b"<script>", b"&nbsp;", b"&#xD800;", b"http://a.example",
    ),
    "rtf": (
        b"{", b"}", b"\\", b"\\'", b"\\'e", b"\\*", b"\\par ", b"\\bin", b"\\bin99 ", b"\\u",
        b"\\uc9 ", b"\\u-10179 ", b"\\u-8704 ", b"\\cell ", b"\\row ", b"\\trowd ", b"\\cellx100 ",
        b"\\intbl ", b"\\itap3 ", b"\\nestcell ", b"\\nestrow ", b"{\\footnote ",
        b"{\\*\\footnote\\ftnalt ", b"\\chftn ", b"{\\header ", b"{\\footer ", b"\\sect ",
        b"\\sectd ", b"\\page ", b"\\pagebb ", b"\\v ", b"\\v0 ", b"\\deleted ", b"\\revised ",
        b"{\\fonttbl", b"{\\f1\\fcharset128 x;}", b"\\f1 ", b"\\plain ", b"\\pard ",
        b"{\\listtext ", b"{\\*\\shpinst", b"{\\shptxt ", b"\x00",
        b"{\\field{\\*\\fldinst FORMCHECKBOX}", b"\\ansicpg932 ", b"\\deff1 ", b"{\\upr", b"\xff",
        b"{\\*\\ud ", b"{\\info{\\title ", b"\\clmrg", b"\\clvmrg", b"{\\pict ", b"\\-", b"\\~",
    ),
    "pdf": (
        b"obj", b"endobj", b"stream\n", b"endstream", b"xref", b"trailer", b"startxref", b"%%EOF",
        b"<<", b">>", b"[", b"]", b"(", b")", b"<", b">", b"\\", b"%", b"null", b"true", b"\x00",
        b"1 0 R", b"2 0 R", b"99999 0 R", b"/Kids [2 0 R]", b"/Parent 2 0 R", b"/Count -1",
        b"/Length 99999999", b"/Filter /FlateDecode", b"/Filter [/LZWDecode /RunLengthDecode]",
        b"/MediaBox [0 0 0 0]", b"/MediaBox [0 0 1e9 -1e9]", b"/Rotate 7", b"/UserUnit 1e9",
        b"/Encrypt 1 0 R", b"/OpenAction << /S /JavaScript /JS (x) >>", b"/S /Launch", b" BT ",
        b" ET ", b" Tj ", b" TJ ", b" /F1 0 Tf ", b" 1e30 0 0 1 0 0 cm ", b" /X Do ", b" q ",
        b" Q ", b" 3 Tr ", b"/ToUnicode 1 0 R", b"beginbfrange <00> <FF> <D800>",
    ),
    "eml": (
        b"\n\n", b"\r\n", b"\r", b"--=_b\n", b"--=_b--\n", b"--in\n", b"\x00", b"\xff", b": ",
        b"\t", b"Content-Type: ", b"multipart/mixed", b"message/rfc822", b"text/html",
        b"text/plain", b'; boundary="=_b"', b"; boundary=", b"; charset=utf-7",
        b"; charset=x-unknown", b"Content-Transfer-Encoding: base64\n",
        b"Content-Transfer-Encoding: x\n", b"=?utf-8?b?", b"=?utf-8?q?=FF?=", b'; filename*0="a',
        b"; filename*=utf-8''%FF%00", b"../../", b"=3D", b"Content-Disposition: attachment\n",
        b"From: ", b"Message-ID: ", b"begin 644 x\n",
    ),
    "msg": (
        b"\x00", b"\xff\xff\xff\xff", b"\xfe\xff\xff\xff", b"\x01\x00\x00\x00", b"_\x00_\x00",
        b"0\x00", b"<p>",
    ),
    "zip": (
        b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x07\x08", b"\x00\x00",
        b"\xff\xff\xff\xff\xff\xff\xff\xff", b"../", b"/", b"\\", b"C:", b"mimetype",
        b"[Content_Types].xml", b"\x01\x00", b"\x08\x00",
    ),
    "xlsx": (
        *_XML, b"<row>", b'<row r="1048577">', b"</row>", b"<c>", b"</c>", b"<v>", b"</v>", b"<f>",
        b"<is>", b' r="ZZZZ1"', b' t="s"', b' t="inlineStr"', b' s="-5"', b"<si>", b"</si>", b"<t>",
        b"<rPr>", b'<mergeCell ref="A1:XFD1048576"/>', b'hidden="1"', b'formatCode="[h]0;;;@"',
        b"1e999", b'count="99999999"', b"_x0000_", b"_xD800_", b'date1904="1"', b"../../",
    ),
    "xls": (
        b"\x00", b"\xff\xff", b"\t\x08", b"\n\x00\x00\x00", b"\xfc\x00", b"<\x00",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
    ),
    "ods": (
        *_XML, b"<table:table>", b"</table:table>", b"<table:table-row>", b"</table:table-row>",
        b"<text:p>", b'table:number-columns-repeated="99999999"',
        b'table:number-rows-repeated="99999999"', b'office:value="1e999"',
        b'office:value-type="date"', b'office:date-value="x"', b"<text:s/>",
    ),
    "csv": (
        b",", b";", b"\t", b"|", b'"', b'""', b"\n", b"\r\n", b"\r", b"\x00", b"\xef\xbb\xbf",
        b"\xff\xfe", b"sep=;\n", b"=1+1", b"'", b"(1,234)", b"1.234,50", b"-", b"\x93",
        b"\xe2\x80\xae", b" ",
    ),
    "xml": (
        *_XML, b"<xbrli:xbrl>", b"</xbrli:xbrl>", b"<xbrli:context id='m'>",
        b"<xbrli:unit id='usd'>", b"<xbrli:divide>", b"<xbrli:instant>",
        b"<xbrldi:explicitMember dimension='a:b'>", b"INF", b'contextRef="m"', b'unitRef="eps"',
        b'decimals="-99999"', b'xsi:nil="true"', b"1e999", b"<ix:nonFraction>", b'scale="99999"',
        b'sign="-"', b'format="ixt:x"', b"9999-99-99",
    ),
    "png": (
        b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tEXt", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff",
        b"\xff", b"\x00",
    ),
    "jpg": (
        b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xe1", b"\xff\xc0", b"Exif\x00\x00",
        b"\xff\xff", b"\x00",
    ),
    "tif": (
        b"II*\x00", b"MM\x00*", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x00\x01\x03\x00",
        b"\x11\x01", b"\x17\x01",
    ),
}  # fmt: skip
"""Of each format, what documents in it are made of."""

PARTS = {
    "docx": ("word/document.xml", "word/numbering.xml", "word/styles.xml", "word/footnotes.xml"),
    "odt": ("content.xml", "styles.xml", "META-INF/manifest.xml"),
    "xlsx": (
        "xl/workbook.xml",
        "xl/worksheets/sheet1.xml",
        "xl/sharedStrings.xml",
        "xl/styles.xml",
    ),
    "ods": ("content.xml", "META-INF/manifest.xml"),
}
"""Of those that are archives, the parts that are damaged within."""
