// The site as one file: shows the article that the fragment names, or that holds what it names. Does nothing elsewhere.
"use strict";

/** Pictures that the file has once, put into the other places of an article that show them. */
function hang(article) {
  for (const place of article.querySelectorAll("[data-picture]")) {
    const held = document.getElementById(place.dataset.picture);
    place[place.localName === "source" ? "srcset" : "src"] = held.getAttribute("src") ?? held.getAttribute("srcset");
    delete place.dataset.picture;
  }
}

function route() {
  const name = decodeURIComponent(location.hash.slice(1).split("?")[0]);
  const target = document.getElementById(name);
  const page = target?.closest(".page") ?? document.querySelector(".page");
  for (const article of document.querySelectorAll(".page.here-now")) article.classList.remove("here-now");
  page.classList.add("here-now");
  hang(page);
  document.title = page.dataset.title;
  if (target && target !== page) target.scrollIntoView({ behavior: "instant" });
  else window.scrollTo({ top: 0, behavior: "instant" });
}

if (document.body.classList.contains("single")) {
  document.body.classList.add("routed");
  window.addEventListener("hashchange", route);
  route();
}
