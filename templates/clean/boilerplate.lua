-- SPDX-License-Identifier: MIT
-- Phrases that make a line boilerplate, for lathe.clean { boilerplate = true }. A line with one of them goes, if it has
-- at most max_characters. Written in small letters; capitals in the text count as small ones.
return {
  max_characters = 200,
  -- cookies and consent
  "accept all cookies", "accept cookies", "we use cookies", "uses cookies", "use of cookies", "cookie policy",
  "cookie settings", "manage consent", "wir verwenden cookies", "cookie-einstellungen", "nous utilisons des cookies",
  "utilizamos cookies", "utilizziamo i cookie", "wij gebruiken cookies", "файлы cookie",
  -- rights and notices
  "all rights reserved", "alle rechte vorbehalten", "tous droits réservés", "todos los derechos reservados",
  "todos os direitos reservados", "tutti i diritti riservati", "alle rechten voorbehouden", "все права защищены",
  "版权所有", "terms of use", "terms of service", "terms and conditions apply", "privacy policy", "datenschutzerklärung",
  "allgemeine geschäftsbedingungen", "mentions légales", "política de privacidad",
  -- asked to act
  "subscribe to our newsletter", "sign up for our newsletter", "newsletter abonnieren", "follow us on", "share this article",
  "share on facebook", "share on twitter", "tweet this", "click here to subscribe", "log in to comment",
  "please enable javascript", "javascript is disabled", "your browser does not support", "skip to main content",
  "skip to content", "zum inhalt springen", "back to top of page", "nach oben scrollen", "powered by wordpress",
  "leave a comment", "leave a reply",
}
