# SPDX-License-Identifier: MIT
"""Makes the PDF and DOCX chapters of recipes/demo/ from demo-documents/*.md.

The demo must read what people have, so some chapters of its library are word-processor and
PDF files. Their text lives beside this script in a small Markdown subset (headings, paragraphs,
bullets, pipe tables whose first row is the head); the finished files are committed, so nobody
needs Python to build or test. Output is the same on every run: reportlab's invariant mode, and
a fixed date in everything python-docx writes.

Last made with Python 3.11, reportlab 5.1.0, python-docx 1.2.0.

Usage: python3 tests/reference/make_demo_documents.py      (from anywhere)
"""

import datetime
import io
import pathlib
import zipfile
from xml.sax.saxutils import escape

import docx
import reportlab
from reportlab import rl_config
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph, Table, TableStyle

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE / "demo-documents"
LIBRARY = HERE.parent.parent / "recipes" / "demo"
DATE = (2026, 1, 1, 0, 0, 0)

# name, kind, columns
DOCUMENTS = [
    ("16-quantisation-and-gguf", "pdf", 1),
    ("17-merging", "docx", 1),
    ("20-attention", "pdf", 2),
    ("23-runs-and-manifests", "docx", 1),
]


def blocks(source):
    """Yields (kind, value): ("h1"|"h2", text), ("p", text), ("li", text), ("table", rows)."""
    rows = []
    for line in source.splitlines() + [""]:
        if line.startswith("| "):
            rows.append([cell.strip() for cell in line.strip("| ").split("|")])
            continue
        if rows:
            yield "table", rows
            rows = []
        if line.startswith("## "):
            yield "h2", line[3:]
        elif line.startswith("# "):
            yield "h1", line[2:]
        elif line.startswith("- "):
            yield "li", line[2:]
        elif line.strip():
            yield "p", line.strip()


def make_pdf(source, path, columns):
    rl_config.invariant = 1
    sheet = getSampleStyleSheet()
    # Two columns are set as papers are, indented and without gaps: gaps that line up across the
    # page make readers of PDF take rows of paragraphs for rows of a table.
    narrow = columns > 1
    size = 11.5 if narrow else 11
    body = ParagraphStyle("body", parent=sheet["BodyText"], fontName="Times-Roman", fontSize=size,
                          leading=size * 1.3, spaceBefore=0, spaceAfter=0 if narrow else 5,
                          firstLineIndent=10 if narrow else 0)
    styles = {"p": body, "li": ParagraphStyle("li", parent=body, leftIndent=10),
              "h1": ParagraphStyle("h1", parent=sheet["Heading1"], fontSize=17),
              "h2": ParagraphStyle("h2", parent=sheet["Heading2"], fontSize=size if narrow else 12,
                                   leading=size * 1.3, spaceBefore=0 if narrow else 10,
                                   spaceAfter=0 if narrow else 4)}
    if narrow:
        styles["h1"] = ParagraphStyle("h1n", parent=styles["h2"])
    width, height = A4
    margin, gap = (30 if columns > 1 else 26) * mm, 12 * mm
    frame_width = (width - 2 * margin - gap * (columns - 1)) / columns
    frames = [Frame(margin + i * (frame_width + gap), margin, frame_width, height - 2 * margin,
                    leftPadding=0, rightPadding=0) for i in range(columns)]
    story, title = [], ""
    for kind, value in blocks(source):
        if kind == "table":
            cells = [[Paragraph(escape(cell), body) for cell in row] for row in value]
            style = TableStyle([("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
                                ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
                                ("VALIGN", (0, 0), (-1, -1), "TOP")])
            story.append(Table(cells, style=style, spaceBefore=4, spaceAfter=8))
        else:
            title = title or value
            story.append(Paragraph(("\u2022 " if kind == "li" else "") + escape(value), styles[kind]))

    def number(canvas, doc):
        canvas.setFont("Times-Roman", 8)
        canvas.drawCentredString(width / 2, 12 * mm, str(doc.page))

    document = BaseDocTemplate(str(path), pagesize=A4, title=title, author="The Lathe project", invariant=1,
                               pageTemplates=[PageTemplate(id="page", frames=frames, onPage=number)])
    document.build(story)


def make_docx(source, path):
    document = docx.Document()
    for kind, value in blocks(source):
        if kind == "table":
            table = document.add_table(rows=0, cols=len(value[0]), style="Table Grid")
            for row in value:
                for cell, text in zip(table.add_row().cells, row):
                    cell.text = text
        elif kind == "li":
            document.add_paragraph(value, style="List Bullet")
        elif kind == "p":
            document.add_paragraph(value)
        else:
            document.add_heading(value, level=int(kind[1]))
            if kind == "h1":
                document.core_properties.title = value
    properties = document.core_properties
    properties.author = properties.last_modified_by = "The Lathe project"
    properties.comments = ""
    properties.created = properties.modified = datetime.datetime(*DATE)
    held = io.BytesIO()
    document.save(held)
    with zipfile.ZipFile(held) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():        # the same archive, with a fixed date in each entry
            if entry.filename == "docProps/thumbnail.jpeg":
                continue
            data = old.read(entry)
            if entry.filename == "_rels/.rels":     # the template's preview picture is not ours
                text = data.decode()
                start = text.index("<Relationship ", text.index(">", text.index("<Relationships")))
                items = [item for item in text[start:text.index("</Relationships>")].split("/>") if item]
                kept = [item + "/>" for item in items if "thumbnail" not in item]
                data = (text[:start] + "".join(kept) + "</Relationships>").encode()
            info = zipfile.ZipInfo(entry.filename, DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            new.writestr(info, data)


def main():
    print("reportlab", reportlab.Version, "python-docx", docx.__version__)
    for name, kind, columns in DOCUMENTS:
        source = (SOURCES / (name + ".md")).read_text(encoding="utf-8")
        path = LIBRARY / (name + "." + kind)
        if kind == "pdf":
            make_pdf(source, path, columns)
        else:
            make_docx(source, path)
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
