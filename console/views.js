// What each part of the page shows, from the API's answers. No fetching here, and no state.

import { h } from './dom.js';
import { verdicts, why } from './explanation.js';
import { ACTION, BAND, name, odds, plural, shared, short, span, utc, value, whole } from './words.js';

const badge = (kind, text = kind) => h('span', { class: `badge ${kind}` }, text);
const account = (token) => h('button', { type: 'button', class: 'link', 'data-do': 'lookup', 'data-account': token }, token);

export function banner(status, campaigns, failing) {
  const [tone, sentence] = headline(status, campaigns, failing);
  const lines = [...status.not_ready, ...status.problems, ...failing, ...(status.aggregator?.stale ?? []).map((why) => `Automatic actions wait. ${why}`)];
  return h('div', { class: `banner ${tone}` }, h('strong', {}, sentence), lines.length > 0 && h('ul', {}, lines.map((line) => h('li', {}, line))));
}

/** The whole page in one sentence, worst news first. */
function headline(status, campaigns, failing) {
  if (!status.ready) return ['bad', 'Not ready: some traffic is not being scored.'];
  if (status.enforcement === 'off') return ['warn', 'Enforcement is off: every gateway allows everything.'];
  if (status.problems.length || failing.length) return ['warn', 'A part of Stillwatch does not answer.'];
  if (status.aggregator?.stale.length) return ['warn', 'What is known is stale: automatic actions wait until it is fresh, or for people.'];
  if (status.aggregator?.waiting) return ['warn', `${plural(status.aggregator.waiting, 'action waits', 'actions wait')} for people: see Revocations.`];
  const acted = status.revocations_active;
  const held = acted ? `${plural(acted, 'account or organisation is', 'accounts or organisations are')} acted on` : 'nobody is acted on';
  if (!campaigns) return ['', 'Ready. Asking for campaigns…'];
  const count = open(campaigns).length;
  if (!count) return ['good', `Quiet: no campaign is open, ${held}.`];
  const shadow = status.mode === 'shadow' ? ' The policy is in shadow: it records, people act.' : '';
  return ['warn', `${plural(count, 'campaign is', 'campaigns are')} open, ${held}.${shadow}`];
}

/** Without those that became a part of another one. */
export const open = (campaigns) => campaigns.filter((item) => item.state !== 'merged');

export function tiles(status, rate) {
  const on = status.enforcement === 'on';
  const word = { on: 'On', off: 'Off' }[status.enforcement] ?? 'Unknown';
  return [
    tile('State', h('span', { class: status.ready ? 'is-good' : 'is-bad' }, status.ready ? 'Ready' : 'Not ready'), null,
      `${status.partitions_owned} of ${status.partitions} partitions owned`),
    tile('Enforcement', h('span', { class: on ? 'is-good' : 'is-warn' }, word),
      status.mode === 'shadow' ? 'policy in shadow' : 'policy enforces',
      `policy ${status.policy_version}`,
      status.enforcement && h('button', { type: 'button', class: 'small', 'data-do': 'switch', 'data-on': on ? '' : 'yes' }, on ? 'Turn off…' : 'Turn on…')),
    tile('Traffic', rate.now === null ? '–' : short(rate.now), 'events/s',
      `${short(status.events)} in all · ${short(status.waiting)} waiting · ${short(status.rejected)} rejected`,
      spark(rate.history, 'events per second, last minutes', 90, 24)),
    tile('Accounts', short(status.accounts), 'in state',
      `${plural(status.revocations_active, 'key')} ${on ? 'enforced' : 'on hold'} · ${status.aggregator ? `${short(status.aggregator.groups_tested)} groups tested` : 'aggregator does not answer'}`),
  ];
}

function tile(title, big, small, foot, extra) {
  return h('div', { class: 'tile', 'data-key': title }, h('span', { class: 'name' }, title),
    h('span', { class: 'big' }, big, small && h('small', {}, small)),
    h('div', { class: 'foot' }, h('span', { class: 'quiet' }, foot), extra));
}

export function campaign(found, detail, nowMs) {
  const age = span((nowMs - Date.parse(found.detected)) / 1000);
  return h('article', { class: 'card campaign', 'data-key': found.id, id: found.id },
    h('header', {}, h('h3', { class: 'id' }, found.id), badge(found.action, ACTION[found.action]),
      found.state !== 'awake' && badge('asleep', found.state),
      h('span', { class: 'quiet', title: utc(found.detected) }, `found ${age} ago`), h('span', { class: 'push' }),
      h('button', { type: 'button', class: 'small', 'data-do': 'act', 'data-kind': 'campaign', 'data-target': found.id }, 'Act on members…')),
    found.merged_into && h('p', { class: 'note' }, 'Proved to be a part of ', h('a', { class: 'id', href: `#${found.merged_into}` }, found.merged_into)),
    detail?.split_from?.length > 0 && h('p', { class: 'note' }, 'Was a part of ', h('a', { class: 'id', href: `#${detail.split_from[0]}` }, detail.split_from[0]), ', until they proved to be two'),
    h('dl', { class: 'facts' },
      fact('accounts', whole(found.account_count)), fact('requests leaked', short(found.requests)),
      fact('tokens leaked', short(found.tokens)),
      fact('evidence against chance', found.e_value === null ? 'beyond measure' : `${short(found.e_value)} : 1`),
      growth(found.growth)),
    evidence(found.signals, true),
    found.linkage.length > 0 && h('p', { class: 'quiet', title: found.linkage.join('\n') }, `Looked at because accounts share ${shared(found.linkage)}. That alone is no evidence`),
    h('details', { 'data-campaign': found.id },
      h('summary', {}, `What it took, why it was acted on, its history, and its members (${whole(found.account_count)})`),
      detail ? [detail.extraction && extraction(detail.extraction), detail.verdicts.length > 0 && [h('p', {}, h('strong', {}, 'What was decided about it, and why')), verdicts(detail.verdicts)], h('p', {}, h('strong', {}, 'What happened to it')), history(detail.history), reachTable(detail.reach), memberTable(detail.members)] : h('p', { class: 'quiet' }, 'Loading…')));
}

/** How much was taken, so that the response can be in proportion. */
function extraction(found) {
  const share = (part) => `${(100 * part).toFixed(part > 0.99 && part < 1 ? 2 : 0)} %`;
  const most = found.capabilities.slice(0, 6).map((item) => `${item.name} ${share(item.share)}`).join(', ');
  return h('dl', { class: 'pairs' },
    pair('In all, at least', `${plural(found.requests, 'request')}, ${short(found.tokens)} tokens`),
    pair('In the last 24 h', `${plural(found.requests_last_day, 'request')}, ${short(found.tokens_last_day)} tokens`),
    pair('Capabilities', `${plural(found.capabilities.length, 'kind')} of task${most && `; of its requests: ${most}`}`),
    pair('Topics covered', `${share(found.topics_covered)} of what honest people ask, weighted by how often they do`),
    found.completeness !== null && pair('Completeness', `${share(found.completeness)} of its next conversations would be on topics it has had`),
    pair('What this can not say', h('span', { class: 'quiet' }, found.limits)));
}

const history = (rows) => h('ul', { class: 'history' }, rows.map(([at, what, detail]) => h('li', { 'data-key': `${at} ${what} ${detail}` },
  h('span', { class: 'quiet' }, utc(at * 1000)), ` ${what}`, detail && h('span', { class: 'quiet' }, ` ${detail}`))));

const fact = (label, text) => h('div', {}, h('dt', {}, label), h('dd', {}, text));

function growth(rows) {
  if (rows.length < 2) return h('div', { class: 'growth' });
  const first = rows[0], last = rows.at(-1);
  const text = `${whole(first[1])} → ${plural(last[1], 'account')} in ${span(last[0] - first[0])}`;
  return h('div', { class: 'growth' }, spark(rows.map((row) => row[1]), `members over time: ${text}`, 170, 36), h('span', { class: 'quiet' }, text));
}

/** Whom an action would reach, before anyone acts. */
function reachTable(rows) {
  return h('table', {},
    h('thead', {}, h('tr', {}, h('th', {}, 'An action on members of at least'), h('th', { class: 'n' }, 'reaches'), h('th', { class: 'n' }, 'of customers'),
      h('th', { class: 'n' }, 'honest ones, at most'))),
    h('tbody', {}, rows.filter((row) => row.accounts).map((row) => h('tr', { 'data-key': `${row.min_confidence}` },
      h('td', {}, `${(100 * row.min_confidence).toFixed(row.min_confidence > 0.99 ? 1 : 0)} %`), h('td', { class: 'n' }, plural(row.accounts, 'account')),
      h('td', { class: 'n' }, whole(row.organisations)), h('td', { class: 'n' }, `${row.honest_at_most.toFixed(1)} (${(100 * row.honest_share_at_most).toFixed(1)} %)`)))));
}

function memberTable(members) {
  return h('div', { class: 'scroll', tabindex: '0' }, h('table', {},
    h('thead', {}, h('tr', {}, h('th', {}, 'Account'), h('th', {}, 'Organisation'), h('th', { class: 'n' }, 'Confidence'),
      h('th', { class: 'n' }, 'Requests'), h('th', { class: 'n' }, 'Tokens'))),
    h('tbody', {}, members.map((member) => h('tr', { 'data-key': member.account }, h('td', {}, account(member.account)),
      h('td', { class: 'id' }, member.organisation ?? '–'), h('td', { class: 'n' }, `${(100 * member.confidence).toFixed(1)} %`),
      h('td', { class: 'n' }, whole(member.requests)), h('td', { class: 'n' }, short(member.tokens)))))));
}

/** `spoken`: what has no normal is told in its own words. Of an account it is what is not known yet; of a campaign it describes. */
export function evidence(signals, spoken = false) {
  const known = signals.filter((signal) => signal.normal).sort((a, b) => (b.surprise ?? -1) - (a.surprise ?? -1));
  const young = signals.filter((signal) => !signal.normal);
  return [
    h('ul', { class: 'evidence' }, known.map((signal) => h('li', { 'data-key': signal.name },
      h('div', {}, h('div', {}, signal.sentence), h('span', { class: 'word' }, `${name(signal.name)} · ${odds(signal.surprise)}`)),
      gauge(signal)))),
    young.length > 0 && spoken && h('ul', { class: 'evidence' }, young.filter((signal) => signal.name !== 'linkage').map((signal) => h('li', { class: 'quiet', 'data-key': signal.name }, signal.sentence))),
    young.length > 0 && !spoken && h('p', { class: 'quiet young' }, `${known.length ? 'Also, w' : 'W'}ithout a normal to compare with yet: ${young.map((signal) => `${name(signal.name)} ${value(signal.value)}`).join(', ')}`),
  ];
}

/** The value as a dot beside the band of what is normal. */
export function gauge({ value: found, normal, surprise }) {
  const [low, high] = normal;
  const from = Math.min(low, found), to = Math.max(high, found);
  const width = to - from || 1;
  const x = (n) => 6 + 188 * ((n - from) / width);
  const kind = surprise === null ? 'unknown' : surprise >= 2 ? 'odd' : 'fine';
  const text = `${value(found)}, normal ${value(low)} to ${value(high)}`;
  return h('div', { class: 'gauge' },
    h('svg', { viewBox: '0 0 200 14', preserveAspectRatio: 'none', role: 'img', 'aria-label': text },
      h('line', { class: 'track', x1: 2, x2: 198, y1: 7, y2: 7 }),
      h('rect', { class: 'normal', x: x(low), width: Math.max(3, x(high) - x(low)), y: 3, height: 8, rx: 2 }),
      h('circle', { class: kind, cx: x(found), cy: 7, r: 4.5 })),
    text);
}

export function spark(points, label, width, height) {
  if (points.length < 2) return null;
  const most = Math.max(...points, 1);
  const at = (n, i) => `${((i * width) / (points.length - 1)).toFixed(1)} ${(height - 2 - (n / most) * (height - 4)).toFixed(1)}`;
  const line = points.map(at).join('L');
  return h('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label },
    h('title', {}, label), h('path', { class: 'under', d: `M0 ${height}L${line}L${width} ${height}Z` }), h('path', { class: 'curve', d: `M${line}` }));
}

export function revocation(found, nowMs) {
  const left = (Date.parse(found.expires) - nowMs) / 1000;
  const whole_s = (Date.parse(found.expires) - Date.parse(found.created)) / 1000;
  const live = found.state === 'active' || found.state === 'shadow' || found.state === 'dry_run';
  const waits = found.state === 'waiting';
  const about = { 'data-id': found.id, 'data-target': found.target, 'data-count': found.account_count, 'data-kind': found.target_kind, 'data-action': found.action };
  const target = found.target_kind === 'account' ? account(found.target) : h('span', { class: 'id' }, found.target);
  return h('article', { class: `card revocation${live || waits ? '' : ' over'}`, 'data-key': found.id },
    h('div', { class: 'top' }, badge(found.action, ACTION[found.action]), found.state !== 'active' && badge(found.state, found.state.replace('_', ' ')),
      h('span', {}, found.target_kind === 'account' ? '' : `${found.target_kind} `, target),
      found.target_kind === 'campaign' && h('span', { class: 'quiet' }, plural(found.account_count, 'account')), h('span', { class: 'push' }),
      live && h('button', { type: 'button', class: 'small', 'data-do': 'undo', ...about }, 'Undo…'),
      waits && h('button', { type: 'button', class: 'small', 'data-do': 'agree', ...about }, 'Agree…'),
      waits && h('button', { type: 'button', class: 'small', 'data-do': 'reject', ...about }, 'Reject…')),
    h('p', { class: 'reason' }, found.reason),
    waits && h('p', { class: 'note' }, `Waits: ${found.hold.because}. ${plural(found.hold.missing, 'person', 'people')} more must agree before ${utc(found.hold.decide_before)}`,
      found.hold.approvals.length > 0 && `; agreed: ${found.hold.approvals.join(', ')}`, found.hold.releases_itself && '; it acts by itself once the state is fresh'),
    found.spared.length > 0 && h('p', { class: 'quiet' }, `Spared, on the never-act list: ${found.spared.join(', ')}`),
    h('p', { class: 'quiet' }, `${found.actor} · ${utc(found.created)} · `, live ? h('strong', {}, `${span(left)} left`) : waits ? 'waits' : ended(found), ' · ', h('span', { class: 'id whole' }, found.id), found.verdict && [' ', why(found.verdict)]),
    live && h('progress', { max: whole_s, value: Math.max(0, left), 'aria-label': 'time left' }));
}

const ended = (found) => (found.state === 'lapsed' ? 'nobody agreed in time' : found.state === 'rejected' ? `rejected by ${found.undone_by} ${utc(found.undone)}` : found.state === 'undone' ? `undone by ${found.undone_by} ${utc(found.undone)}` : `expired ${utc(found.expires)}`);

export function accountCard(found, nowMs) {
  const { state } = found;
  return h('div', { class: 'card', 'data-key': found.account },
    h('div', { class: 'row' }, h('h3', { class: 'id' }, found.account), badge(found.band, BAND[found.band]), h('span', { class: 'push' }),
      h('button', { type: 'button', class: 'small', 'data-do': 'act', 'data-kind': 'account', 'data-target': found.account }, 'Act…')),
    found.enforced
      ? h('p', { class: 'note bad' }, h('strong', {}, `Gateways ${found.enforced.action === 'observe' ? 'watch' : 'hold back'} it now: ${ACTION[found.enforced.action]}`), ` until ${utc(found.enforced.expires)}. ${found.enforced.reason}`)
      : found.revocation && h('p', { class: 'note' }, `${ACTION[found.revocation.action]} on record, but no gateway enforces it now (kill switch, or not arrived yet).`),
    found.incomplete.length > 0 && h('p', { class: 'note' }, `Not the whole picture. ${found.incomplete.join('. ')}`),
    state
      ? h('dl', { class: 'pairs' },
          pair('Score', h('span', { class: 'score' }, found.score === null ? 'no opinion yet' : found.score.toFixed(2))),
          pair('Campaign', found.campaign ? h('a', { class: 'id', href: `#${found.campaign}` }, found.campaign) : 'none'),
          pair('Organisation', state.organisation ? `${state.organisation} (${state.verification ?? 'not verified'})` : 'not known'),
          pair('Traffic', `${plural(state.events, 'request')} in ${plural(state.conversations, 'conversation')}, ${short(state.input_tokens)} tokens in, ${short(state.output_tokens)} out`),
          pair('Seen', `${utc(state.first_seen)} to ${utc(state.last_seen)} (${span((nowMs - Date.parse(state.last_seen)) / 1000)} ago)`),
          state.label && pair('Label', state.label))
      : h('p', { class: 'quiet' }, 'No event of it is in state.'),
    found.signals.length > 0 && evidence(found.signals),
    found.verdicts.length > 0 && h('details', {}, h('summary', {}, `Verdicts (${found.verdicts.length})`),
      h('ul', { class: 'history' }, found.verdicts.map((item) => h('li', { 'data-key': item.id },
        badge(item.action, ACTION[item.action]), item.mode === 'shadow' ? ' in shadow ' : ' ', h('span', { class: 'quiet' }, utc(item.decided_at_unix_nano / 1e6)), ' ', why(item.id), h('div', {}, item.reason))))));
}

const pair = (label, content) => [h('dt', {}, label), h('dd', {}, content)];

export function shards(status) {
  if (!status.shards) return h('p', { class: 'empty' }, 'The shards do not answer.');
  const moved = {};
  for (const shard of status.shards) for (const item of shard.partitions) if (item.owned) for (const [signal, times] of Object.entries(item.baseline_drifts ?? {})) if (times > 0) moved[signal] = (moved[signal] ?? 0) + times;
  const drift = Object.keys(moved).length > 0 && h('p', { class: 'quiet' },
    `What is normal has moved: ${Object.entries(moved).map(([signal, times]) => `${signal.replaceAll('_', ' ')} (${times}×)`).join(', ')}. A launch, a new client, or somebody who teaches it on purpose.`);
  return h('div', { class: 'card' }, drift, h('table', {},
    h('thead', {}, h('tr', {}, h('th', {}, 'Shard'), h('th', { class: 'n' }, 'Partitions'), h('th', { class: 'n' }, 'Events'), h('th', { class: 'n' }, 'Waiting'), h('th', { class: 'n' }, 'Accounts'))),
    h('tbody', {}, status.shards.map((shard) => {
      const mine = shard.partitions.filter((item) => item.owned);
      const sum = (field) => short(mine.reduce((total, item) => total + item[field], 0));
      return h('tr', { 'data-key': shard.shard }, h('td', {}, shard.shard), h('td', { class: 'n' }, mine.length), h('td', { class: 'n' }, sum('events')), h('td', { class: 'n' }, sum('waiting')), h('td', { class: 'n' }, sum('accounts')));
    }))));
}
