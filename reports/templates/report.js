"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  // Light and dark
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const toggle = document.createElement("button");
  toggle.type = "button";
  const say = () => { toggle.textContent = isDark() ? "Light" : "Dark"; };
  toggle.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; say(); draw(); });
  dark.addEventListener("change", () => { say(); draw(); });
  say();
  document.querySelector("nav > div").append(toggle);

  // A button beside each command
  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  for (const code of document.querySelectorAll(".problems .command")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await copy(code.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    code.after(button);
  }

  // The map
  let draw = () => {};
  const data = document.getElementById("points");
  if (!data) return;
  const { paths, x, y, colourings, columns } = JSON.parse(data.textContent);
  const canvas = document.querySelector("canvas"), context = canvas.getContext("2d");
  const tip = document.getElementById("tip"), legend = document.getElementById("legend"), by = document.getElementById("by");
  const many = ["#3b82c4", "#e0822f", "#3f9f5f", "#d14d4d", "#8d6cc9", "#9a6a4f", "#d977b5", "#7d8590", "#b3a52c", "#2fa8b5",
    "#7ba7d9", "#f0b27a", "#86c796", "#eb9a96", "#bfa8e6", "#c49c86", "#eeb6d8", "#a8b0b8", "#d6cb72", "#8fd3dc"];
  const few = { drawing: "--stay", stays: "--stay", train: "--stay", photo: "--photograph", "removed as a copy": "--go", val: "--go",
    unsure: "--review", "removed by the photo filter": "--photograph", test: "--review", "waits for a person": "--review", out: "--unreadable", removed: "--unreadable", "": "--unreadable" };
  const side = 1024; // thumbnails a sheet
  let hidden = new Set(), view = { scale: 1, x: 5000, y: 5000 }, chosen = -1, width = 0, height = 0;

  const colour = (name, index) => {
    const variable = by.value !== "Class" && few[name];
    return variable ? getComputedStyle(root).getPropertyValue(variable) : many[index] || `hsl(${(index * 137.5) % 360} ${45 + 15 * (index % 3)}% ${42 + 9 * (index % 4)}%)`;
  };
  const tall = 2 * Math.max(...y.map((place) => Math.abs(place - 5000))) + 400;
  const unit = () => Math.min(width / 10000, height / tall) * view.scale;
  const across = (i) => width / 2 + (x[i] - view.x) * unit();
  const down = (i) => height / 2 - (y[i] - view.y) * unit();

  draw = () => {
    const ratio = devicePixelRatio || 1;
    width = canvas.clientWidth; height = canvas.clientHeight;
    canvas.width = width * ratio; canvas.height = height * ratio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const { names, values } = colourings[by.value], size = Math.min(6, (width < 500 ? 2 : 2.6) * Math.sqrt(view.scale));
    names.forEach((name, index) => {
      if (hidden.has(index)) return;
      context.fillStyle = colour(name, index);
      context.globalAlpha = 0.8;
      context.beginPath();
      for (let i = 0; i < values.length; i++) {
        if (values[i] !== index) continue;
        const a = across(i), b = down(i);
        context.moveTo(a + size, b);
        context.arc(a, b, size, 0, 7);
      }
      context.fill();
    });
    context.globalAlpha = 1;
    if (chosen >= 0) {
      context.strokeStyle = getComputedStyle(root).getPropertyValue("--ink");
      context.lineWidth = 2;
      context.beginPath();
      context.arc(across(chosen), down(chosen), size + 4, 0, 7);
      context.stroke();
    }
  };

  const show = (i) => {
    if (i === chosen && !tip.hidden) return;
    chosen = i;
    tip.hidden = i < 0;
    if (i >= 0) {
      const picture = tip.firstElementChild, sheet = Math.floor(i / side), place = i % side;
      picture.hidden = !columns.length;
      if (columns.length) {
        picture.className = `picture m${sheet}`;
        picture.style.backgroundPosition = `calc(var(--cell)*${-(place % columns[sheet])}) calc(var(--cell)*${-Math.floor(place / columns[sheet])})`;
      }
      const facts = Object.entries(colourings).map(([name, { names, values }]) => `${name}: ${names[values[i]] || "–"}`);
      tip.lastElementChild.textContent = [paths[i], ...facts].join("\n");
      const left = across(i) + 14 + tip.offsetWidth > width ? across(i) - 14 - tip.offsetWidth : across(i) + 14;
      const top = Math.min(Math.max(0, down(i) - tip.offsetHeight / 2), Math.max(0, height - tip.offsetHeight));
      tip.style.transform = `translate(${Math.max(0, left)}px, ${top}px)`;
    }
    draw();
  };

  const nearest = (a, b, allowed) => {
    const { values } = colourings[by.value];
    let best = -1, least = Infinity;
    for (let i = 0; i < values.length; i++) {
      if (hidden.has(values[i]) || (allowed && !allowed(i))) continue;
      const d = (across(i) - a) ** 2 + (down(i) - b) ** 2;
      if (d < least) { least = d; best = i; }
    }
    return [best, Math.sqrt(least)];
  };

  let drag = null;
  const at = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  const point = (event) => { const [i, d] = nearest(...at(event)); show(d < (event.pointerType === "touch" ? 30 : 14) ? i : -1); };
  canvas.addEventListener("pointerdown", (event) => { drag = { at: at(event), view: { ...view }, moved: false }; if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) { if (event.pointerType === "mouse") point(event); return; }
    const [a, b] = at(event), dx = a - drag.at[0], dy = b - drag.at[1];
    if (!drag.moved && Math.hypot(dx, dy) < 5) return;
    drag.moved = true;
    view.x = drag.view.x - dx / unit(); view.y = drag.view.y + dy / unit();
    show(-1); draw();
  });
  canvas.addEventListener("pointerup", (event) => { if (drag && !drag.moved) point(event); drag = null; });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse" && !drag) show(-1); });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Escape") show(-1);
    if (!step) return;
    event.preventDefault();
    const [a, b] = chosen < 0 ? [width / 2, height / 2] : [across(chosen), down(chosen)];
    const ahead = (i) => { const u = across(i) - a, v = down(i) - b, along = u * step[0] + v * step[1]; return along > 0.5 && along >= Math.abs(u * step[1] + v * step[0]); };
    const [i] = nearest(a, b, chosen < 0 ? null : ahead);
    if (i >= 0) show(i);
  });
  for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => {
    const factor = Number(button.dataset.zoom);
    view = factor ? { ...view, scale: Math.min(40, Math.max(1, view.scale * factor)) } : { scale: 1, x: 5000, y: 5000 };
    show(-1); draw();
  });

  const list = () => {
    legend.replaceChildren();
    const { names, values } = colourings[by.value], counts = names.map(() => 0);
    for (const value of values) counts[value]++;
    names.slice(0, 60).forEach((name, index) => {
      const button = document.createElement("button"), dot = document.createElement("i");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!hidden.has(index)));
      dot.style.background = colour(name, index);
      button.append(dot, `${name || "–"} ${counts[index].toLocaleString("en")}`);
      button.addEventListener("click", () => {
        hidden.has(index) ? hidden.delete(index) : hidden.add(index);
        button.setAttribute("aria-pressed", String(!hidden.has(index)));
        show(-1); draw();
      });
      legend.append(button);
    });
  };
  by.addEventListener("change", () => { hidden = new Set(); list(); show(-1); draw(); });
  toggle.addEventListener("click", list);
  dark.addEventListener("change", list);
  new ResizeObserver(() => { show(-1); draw(); }).observe(canvas);
  list();
})();
