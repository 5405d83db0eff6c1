"""Sidecars as other programs write them, in the form that each has."""

from __future__ import annotations

#: digiKam, by exiv2: a declaration, attributes, one block; a Bag where others have a Seq.
DIGIKAM = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:digiKam="http://www.digikam.org/ns/1.0/"
    xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
    xmlns:mediapro="http://ns.iview-multimedia.com/mediapro/1.0/"
    xmlns:acdsee="http://ns.acdsee.com/iptc/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
   digiKam:ColorLabel="0"
   digiKam:PickLabel="3"
   MicrosoftPhoto:Rating="75"
   acdsee:categories="&lt;Categories&gt;&lt;Category Assigned=&quot;1&quot;&gt;Rex&lt;/Category&gt;&lt;/Categories&gt;"
   xmp:Rating="4">
   <digiKam:TagsList>
    <rdf:Seq>
     <rdf:li>Familie/Rex</rdf:li>
     <rdf:li>Hund</rdf:li>
    </rdf:Seq>
   </digiKam:TagsList>
   <MicrosoftPhoto:LastKeywordXMP>
    <rdf:Bag>
     <rdf:li>Familie/Rex</rdf:li>
     <rdf:li>Hund</rdf:li>
    </rdf:Bag>
   </MicrosoftPhoto:LastKeywordXMP>
   <lr:hierarchicalSubject>
    <rdf:Bag>
     <rdf:li>Familie|Rex</rdf:li>
     <rdf:li>Hund</rdf:li>
    </rdf:Bag>
   </lr:hierarchicalSubject>
   <dc:subject>
    <rdf:Bag>
     <rdf:li>Rex</rdf:li>
     <rdf:li>Hund</rdf:li>
    </rdf:Bag>
   </dc:subject>
   <dc:description>
    <rdf:Alt>
     <rdf:li xml:lang="x-default">Rex &amp; ich, 1 &lt; 2</rdf:li>
    </rdf:Alt>
   </dc:description>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
#: Lightroom: a packet with padding, develop settings in attributes, structures, no digiKam.
LIGHTROOM = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    """<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0-c000 1.000000, 0000/00/00-00:00:00        ">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="uuid:faf5bdd5-ba3d-11da-ad31-d33d75182f1b"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
    xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
   xmp:ModifyDate="2026-05-01T10:00:00+02:00"
   crs:Version="16.0"
   crs:Exposure2012="+0.35"
   crs:ToneCurveName2012="Linear">
   <xmpMM:History>
    <rdf:Seq>
     <rdf:li stEvt:action="saved" stEvt:changed="/metadata"/>
     <rdf:li rdf:parseType="Resource">
      <stEvt:action>derived</stEvt:action>
     </rdf:li>
    </rdf:Seq>
   </xmpMM:History>
   <crs:ToneCurvePV2012>
    <rdf:Seq>
     <rdf:li>0, 0</rdf:li>
     <rdf:li>255, 255</rdf:li>
    </rdf:Seq>
   </crs:ToneCurvePV2012>
   <dc:subject>
    <rdf:Bag>
     <rdf:li>beach</rdf:li>
     <rdf:li>summer</rdf:li>
    </rdf:Bag>
   </dc:subject>
   <lr:hierarchicalSubject>
    <rdf:Bag>
     <rdf:li>Places|beach</rdf:li>
     <rdf:li>summer</rdf:li>
    </rdf:Bag>
   </lr:hierarchicalSubject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
""" + (" " * 100 + "\n") * 20 + '<?xpacket end="w"?>'
)
#: darktable: its history, and a comment of a person; Windows' ends of lines.
DARKTABLE = """<?xml version="1.0" encoding="UTF-8"?>
<!-- kept by hand -->
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:darktable="http://darktable.sf.net/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
   xmpMM:DerivedFrom="a.jpg"
   darktable:xmp_version="5"
   darktable:auto_presets_applied="1">
   <!-- do not touch -->
   <darktable:masks_history>
    <rdf:Seq/>
   </darktable:masks_history>
   <darktable:history>
    <rdf:Seq>
     <rdf:li
      darktable:num="0"
      darktable:operation="flip"
      darktable:params="gz02eJxjYGBgYAJiBgYGBgY"/>
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
""".replace("\n", "\r\n")
#: Capture One and others: no x:xmpmeta, prefixes of their own, several blocks, empty lists, all on one line.
TERSE = (
    '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about="" '
    'xmlns:d="http://purl.org/dc/elements/1.1/"><d:subject><r:Bag/></d:subject></r:Description>'
    '<r:Description r:about="" xmlns:dc="urn:another"><dc:subject>mine</dc:subject><dc:raw><![CDATA[a<b]]></dc:raw>'
    "<?keep this?></r:Description></r:RDF>"
)
#: The other kinds of list.
OTHER_KINDS = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:digiKam="http://www.digikam.org/ns/1.0/">
\t<dc:subject><rdf:Seq><rdf:li>Meer</rdf:li></rdf:Seq></dc:subject>
\t<digiKam:TagsList><rdf:Bag><rdf:li>Orte/Meer</rdf:li></rdf:Bag></digiKam:TagsList>
 </rdf:Description>
</rdf:RDF></x:xmpmeta>"""
EMPTY = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""/>
 </rdf:RDF>
</x:xmpmeta>"""
SAMPLES = {
    "digikam": DIGIKAM.encode(),
    "lightroom": LIGHTROOM.encode(),
    "darktable": DARKTABLE.encode(),
    "terse": TERSE.encode(),
    "other kinds": OTHER_KINDS.encode(),
    "empty": EMPTY.encode(),
    "no properties": EMPTY.replace('<rdf:Description rdf:about=""/>', "").encode(),
    "utf-16": b"\xff\xfe" + DIGIKAM.replace("UTF-8", "UTF-16").encode("utf-16-le"),
    "byte order mark": b"\xef\xbb\xbf" + LIGHTROOM.encode(),
    "latin-1": DIGIKAM.replace("UTF-8", "ISO-8859-1").replace("Familie", "Größe").encode("latin-1"),
}
