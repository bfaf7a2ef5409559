"""What runs in the live page: it asks /now.json and puts what is new in its place.

What arrives was escaped by the server, as all of a page is, and a policy lets no script in it run.
Nothing is taken out from under a person who searches the table: that waits until the box is empty.
"""

from agent.show.page import html

LIVE = """\
(function () {
  var now = "", mark = document.getElementById("mark"), every = 2000, timer = 0, waits = null;
  function enliven() {
""" + html.SCRIPT + """\
  }
  enliven();
  function made(text) {
    var holder = document.createElement("template");
    holder.innerHTML = text;
    return holder.content.firstElementChild;
  }
  function isSearched(section) {
    var box = section && section.querySelector("input[type=search]");
    return !!box && (box.value !== "" || box === document.activeElement);
  }
  function put(text, after) {
    var fresh = made(text), old = document.getElementById(fresh.id);
    if (old && isSearched(old)) return old;
    if (old) old.replaceWith(fresh); else after.after(fresh);
    return fresh;
  }
  function report(parts) {
    var last = document.getElementById("now"), names = {now: true}, hadTable;
    put(parts.head, last);
    put(parts.foot, document.querySelector("main"));
    parts.sections.forEach(function (one) {
      names[one[0]] = true;
      last = put(one[1], last);
    });
    document.querySelectorAll("main > section").forEach(function (section) {
      if (!names[section.id]) section.remove();
    });
    if (document.querySelector("table.live") && !document.querySelector("input[type=search]"))
      enliven();
  }
  function tell(sentence) {
    document.getElementById("told").textContent = sentence;
  }
  function ask() {
    if (waits) return;
    waits = new AbortController();
    var late = setTimeout(function () { waits.abort(); }, 20000);
    fetch("now.json?now=" + encodeURIComponent(now) + "&report=" +
          encodeURIComponent(mark.textContent), {signal: waits.signal, cache: "no-store"})
      .then(function (answer) { return answer.json(); })
      .then(function (found) {
        if (found.html) put(found.html, document.getElementById("told"));
        if (found.title) document.title = found.title;
        now = found.now;
        if (found.parts) { report(found.parts); mark.textContent = found.report; }
        tell("");
      })
      .catch(function () {
        tell("`agent serve` does not answer; this is what it last told.".replace(/`/g, ""));
      })
      .finally(function () {
        clearTimeout(late);
        waits = null;
        timer = setTimeout(ask, document.hidden ? 10 * every : every);
      });
  }
  document.addEventListener("visibilitychange", function () {
    if (!document.hidden && !waits) { clearTimeout(timer); ask(); }
  });
  timer = setTimeout(ask, every);
})();
"""
