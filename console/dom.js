// Elements without markup. Account names, reasons and sentences come from elsewhere and only ever become text nodes;
// the page's policy (require-trusted-types-for) makes the browser refuse anything else.

const SVG = 'http://www.w3.org/2000/svg';
const SVG_TAGS = new Set(['svg', 'path', 'rect', 'circle', 'line', 'title']);

/** h('p', {class: 'quiet'}, 'text', [more]) ; null and false children are left out. */
export function h(tag, attributes = {}, ...children) {
  const node = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, '');
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

/** Makes `root` hold `wanted`, touching only what differs: focus, scrolling and opened details survive a refresh. */
export function show(root, ...wanted) {
  const next = document.createElement(root.nodeName);
  next.append(...wanted.flat(Infinity).filter(Boolean));
  children(root, next);
}

function children(old, next) {
  const keyed = new Map();
  for (const node of old.children) if (node.dataset?.key) keyed.set(node.dataset.key, node);
  let place = old.firstChild;
  for (const node of [...next.childNodes]) {
    const same = node.dataset?.key ? keyed.get(node.dataset.key) : place;
    if (same && alike(same, node)) {
      if (same !== place) old.insertBefore(same, place);
      patch(same, node);
      place = same.nextSibling;
    } else {
      old.insertBefore(node, place);
    }
  }
  while (place) {
    const rest = place.nextSibling;
    place.remove();
    place = rest;
  }
}

function alike(a, b) {
  return a.nodeName === b.nodeName && (a.dataset?.key ?? null) === (b.dataset?.key ?? null);
}

function patch(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !(name === 'open' && old.nodeName === 'DETAILS')) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  children(old, next);
}
