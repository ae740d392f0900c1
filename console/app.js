// The operator's page: asks the API every two seconds while it is looked at, and shows what it said.

import { ask, forget, keep, key, Problem, takeKeyFromAddress } from './api.js';
import { h, show } from './dom.js';
import { act, agree, closeDialog, kill, reject, submitDialog, undo } from './dialogs.js';
import * as views from './views.js';
import { explanation } from './explanation.js';
import { clock, plural, span } from './words.js';

const PERIOD_MS = 2_000;
const RATE_POINTS = 60;
const $ = (id) => document.getElementById(id);

const known = { status: null, campaigns: null, revocations: null, details: new Map(), account: null, why: null, answeredAt: 0, skewMs: 0 };
const rate = { now: null, history: [], last: null };
const problems = new Map(); // feed → why it has no news

const now = () => Date.now() + known.skewMs;

// Each feed asks for itself: an aggregator that hangs must not hide the kill switch.
const FEEDS = {
  status: async () => {
    const status = await ask('v1/status');
    const skewMs = Date.parse(status.as_of) - Date.now();
    // Below this it is the answer's own age, not a wrong clock.
    Object.assign(known, { status, answeredAt: Date.now(), skewMs: Math.abs(skewMs) < 2_500 ? 0 : skewMs });
    measure(status);
  },
  campaigns: async () => {
    known.campaigns = (await ask('v1/campaigns?limit=50')).campaigns;
    const open = [...document.querySelectorAll('details[data-campaign][open]')];
    await Promise.all(open.map((node) => loadDetail(node.dataset.campaign)));
  },
  revocations: async () => {
    const [newest, waiting] = await Promise.all([ask('v1/revocations?limit=200'), ask('v1/approvals?limit=100')]);
    const listed = new Set(newest.revocations.map((item) => item.id));
    known.revocations = [...newest.revocations, ...waiting.revocations.filter((item) => !listed.has(item.id))];
  },
  account: async () => {
    const shown = known.account?.account;
    if (!shown) return;
    const found = await ask(`v1/accounts/${encodeURIComponent(shown)}`);
    if (known.account?.account === shown) known.account = found; // another may have been looked up meanwhile
  },
};
const running = new Set();
const timers = new Map();

async function feed(name) {
  clearTimeout(timers.get(name));
  if (running.has(name) || !key() || document.hidden) return;
  running.add(name);
  const asker = key();
  try {
    await FEEDS[name]();
    problems.delete(name);
  } catch (error) {
    if (key() !== asker) problems.delete(name); // the answer is to a key that is no longer here
    else if (error instanceof Problem && error.status === 401) lock(error.message);
    else problems.set(name, `${name}: ${error instanceof Problem ? error.message : 'no answer'}`);
  } finally {
    running.delete(name);
    draw();
    if (key() && !document.hidden) timers.set(name, setTimeout(feed, PERIOD_MS, name));
  }
}

const refresh = () => Object.keys(FEEDS).forEach(feed);

function measure(status) {
  const at = Date.parse(status.as_of) / 1000;
  if (rate.last && at > rate.last.at) {
    // A shard that restarts counts again from its snapshot: a fall is a restart, not negative traffic.
    rate.now = Math.max(0, status.events - rate.last.events) / (at - rate.last.at);
    rate.history = [...rate.history, rate.now].slice(-RATE_POINTS);
  }
  if (!rate.last || at > rate.last.at) rate.last = { at, events: status.events };
}

function draw() {
  const open = Boolean(key());
  $('door').hidden = open;
  $('room').hidden = !open;
  $('forget').hidden = !open;
  document.body.classList.toggle('stale', stale());
  if (open) drawRoom(known);
  tick();
}

function drawRoom({ status, campaigns, revocations }) {
  const failing = [...problems.values()];
  document.title = `${campaigns?.length ? `(${views.open(campaigns).length}) ` : ''}Stillwatch${status ? ` ${status.deployment}` : ''}`;
  show($('banner'), stale() || !status ? silence(failing) : views.banner(status, campaigns, failing));
  show($('deployment'), status ? `${status.deployment} · ${status.version}` : '');
  show($('tiles'), status ? views.tiles(status, rate) : []);
  show($('campaigns'), list(campaigns, 'campaigns', nothing, (item) => views.campaign(item, known.details.get(item.id), now())));
  show($('campaigns-note'), campaigns?.length ? `${plural(views.open(campaigns).length, 'open one', 'open ones')}, newest first` : '');
  const shown = revocations?.filter((item) => $('ended').checked || !ENDED.has(item.state));
  shown?.sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state)); // stable: newest first within
  show($('revocations'), list(shown, 'revocations', () => 'Nobody is held back.', (item) => views.revocation(item, now())));
  show($('why'), known.why && explanation(known.why));
  if (known.account) show($('account'), views.accountCard(known.account, now()));
  show($('shards'), status ? views.shards(status) : []);
}

const ORDER = ['waiting', 'active', 'shadow', 'dry_run', 'expired', 'undone', 'rejected', 'lapsed'];
const ENDED = new Set(['expired', 'undone', 'rejected', 'lapsed']);

function list(items, name, none, view) {
  if (!items) return h('p', { class: 'empty' }, problems.get(name) ?? 'Asking…');
  return items.length ? items.map(view) : h('p', { class: 'empty' }, none());
}

function nothing() {
  const { status } = known;
  const tested = status?.aggregator ? ` ${plural(status.aggregator.groups_tested, 'group of accounts was', 'groups of accounts were')} tested so far.` : '';
  return `No campaign is open.${tested}`;
}

const stale = () => known.answeredAt > 0 && Date.now() - known.answeredAt > 3 * PERIOD_MS + 2_000;

function silence(failing) {
  if (!known.answeredAt) return h('div', { class: failing.length ? 'banner bad' : 'banner' }, failing.length ? failing.join('. ') : 'Asking…');
  const since = span((Date.now() - known.answeredAt) / 1000);
  return h('div', { class: 'banner bad' }, h('strong', {}, `No answer for ${since}.`), ` What you see is from ${clock(known.answeredAt)}.`);
}

function tick() {
  $('clock').textContent = clock(now());
  const age = Math.round((Date.now() - known.answeredAt) / 1000);
  show($('freshness'), known.answeredAt && key() ? (age <= 3 ? 'live' : `updated ${span(age)} ago`) : '');
  if (stale() && key()) show($('banner'), silence([]));
  if (stale() !== document.body.classList.contains('stale')) draw();
}

async function loadDetail(id) {
  const name = encodeURIComponent(id);
  const [detail, { verdicts }] = await Promise.all([ask(`v1/campaigns/${name}?members=500`), ask(`v1/verdicts?subject=${name}&limit=20`)]);
  known.details.set(id, { ...detail, verdicts });
}

async function look(token) {
  try {
    known.account = await ask(`v1/accounts/${encodeURIComponent(token)}`);
    history.replaceState(null, '', `#account=${encodeURIComponent(token)}`);
    draw();
  } catch (error) {
    known.account = null;
    const why = error.status === 404 ? 'Nothing is known of this account: no event, verdict or revocation.' : error.message;
    show($('account'), h('p', { class: 'problem' }, why));
  }
}

async function explain(verdict) {
  try {
    known.why = await ask(`v1/verdicts/${encodeURIComponent(verdict)}/explanation?accounts=20`);
    history.replaceState(null, '', `#verdict=${encodeURIComponent(verdict)}`);
    draw();
  } catch (error) {
    known.why = null;
    show($('why'), h('p', { class: 'problem' }, error.message));
  }
  $('why').scrollIntoView({ block: 'start' });
}

function lock(why) {
  forget();
  Object.assign(known, { status: null, campaigns: null, revocations: null, answeredAt: 0, account: null, why: null });
  known.details.clear();
  problems.clear();
  show($('account'));
  $('door-problem').textContent = why ?? '';
  draw();
  $('door-key').focus();
}

const DO = {
  forget: () => lock(),
  close: closeDialog,
  lookup: ({ account }) => { $('lookup').value = account; look(account); $('lookup').scrollIntoView({ block: 'nearest' }); },
  switch: ({ on }) => kill(on === 'yes', refresh),
  undo: (data) => undo(data, refresh),
  agree: (data) => agree(data, refresh),
  reject: (data) => reject(data, refresh),
  act: (data) => act(data, refresh),
  why: ({ verdict }) => explain(verdict),
  unwhy: () => { known.why = null; history.replaceState(null, '', location.pathname); draw(); },
  print: () => print(),
};

document.addEventListener('click', (event) => {
  const button = event.target.closest?.('[data-do]');
  if (button) DO[button.dataset.do](button.dataset);
});
document.addEventListener('toggle', (event) => {
  const id = event.target.dataset?.campaign;
  if (id && event.target.open) feed('campaigns');
}, true);
document.addEventListener('keydown', (event) => {
  const typing = event.target.closest?.('input, select, textarea, dialog');
  if (event.key === '/' && !typing && key()) { event.preventDefault(); $('lookup').focus(); }
});
document.addEventListener('visibilitychange', refresh);
$('ended').addEventListener('change', draw);
$('dialog-form').addEventListener('submit', (event) => { event.preventDefault(); submitDialog(); });
$('lookup-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const token = $('lookup').value.trim();
  if (token) look(token);
});
$('door-form').addEventListener('submit', (event) => {
  event.preventDefault();
  keep($('door-key').value.trim());
  $('door-key').value = '';
  $('door-problem').textContent = '';
  refresh();
});

takeKeyFromAddress();
setInterval(tick, 1_000);
draw();
if (key()) {
  refresh();
  const wanted = /^#account=([A-Za-z0-9_-]{1,64})$/.exec(location.hash);
  if (wanted) look($('lookup').value = wanted[1]);
  const asked = /^#verdict=([A-Za-z0-9_-]{1,64})$/.exec(location.hash);
  if (asked) explain(asked[1]);
} else {
  $('door-key').focus();
}
