// Why a verdict was given: the API's sentences, in the order in which a reviewer asks. No fetching here, and no state.

import { h } from './dom.js';
import { gauge } from './views.js';
import { ACTION, plural, utc, whole } from './words.js';

const LISTED = 20;
const sentences = (lines) => lines.map((line) => h('p', {}, line));
const part = (title, ...content) => h('section', { 'data-key': title }, h('h4', {}, title), ...content);

export function explanation(found) {
  return h('article', { class: 'card why', 'data-key': found.verdict },
    h('header', { class: 'row' }, h('h3', {}, 'Why ', h('span', { class: 'id' }, found.verdict), '?'),
      h('span', { class: `badge ${found.action}` }, ACTION[found.action]),
      found.mode === 'shadow' && h('span', { class: 'badge shadow' }, 'in shadow'), h('span', { class: 'push' }),
      h('button', { type: 'button', class: 'small', 'data-do': 'print' }, 'Print'),
      h('button', { type: 'button', class: 'small', 'data-do': 'unwhy' }, 'Close')),
    h('p', { class: 'quiet' }, `Decided ${utc(found.decided)}, by the time of the traffic`),
    found.incomplete.length > 0 && h('p', { class: 'note bad' }, `Not the whole picture. ${found.incomplete.join('. ')}`),
    h('div', { class: 'short' }, sentences(found.summary)),
    part('What was found', h('ol', { class: 'found' }, found.evidence.map(evidence))),
    part('Could it be chance?', ...sentences(found.chance)),
    part('Whom it covers', ...sentences(found.who), accounts(found)),
    part('By which rule', ...sentences(found.rule)),
    part('Who decided, and what became of it', ...sentences(found.decided_by), trail(found)),
    part('What this can not say', ...sentences(found.limits)),
    h('p', { class: 'quiet made' }, `Made with ${Object.entries(found.versions).map(([name, version]) => `${name} ${version}`).join(', ')}; policy ${found.policy_version}, rule ${found.rule_name}; configuration `,
      h('span', { class: 'id whole' }, found.config_sha256)));
}

function evidence(one) {
  return h('li', { 'data-key': one.name },
    h('div', { class: 'pair' }, h('strong', {}, one.title), one.normal && gauge(one)),
    h('p', {}, `${one.found[0].toUpperCase()}${one.found.slice(1)}. `, one.normal && one.compared),
    h('p', { class: 'quiet' }, one.measures),
    one.innocent && h('p', { class: 'quiet' }, h('em', {}, 'What can be said against it: '), one.innocent));
}

function accounts(found) {
  const shown = found.accounts.slice(0, LISTED);
  const left = found.account_count - shown.length;
  return [
    h('table', {}, h('thead', {}, h('tr', {}, h('th', {}, 'Account'), h('th', { class: 'n' }, 'Confidence'), h('th', { class: 'n' }, 'Requests'))),
      h('tbody', {}, shown.map((one) => h('tr', { 'data-key': one.account },
        h('td', {}, h('button', { type: 'button', class: 'link', 'data-do': 'lookup', 'data-account': one.account }, one.account)),
        h('td', { class: 'n' }, one.confidence === null ? 'not stored' : `${(100 * one.confidence).toFixed(1)} %`),
        h('td', { class: 'n' }, one.requests === null ? '–' : whole(one.requests)))))),
    left > 0 && h('p', { class: 'quiet' }, `The surest ${LISTED}; ${plural(left, 'more account')} in the API's answer.`),
  ];
}

function trail(found) {
  const rows = [
    ...found.revocations.map((one) => [one.created, `${one.actor}: ${one.action} of ${plural(one.account_count, 'account')}, ${one.state.replace('_', ' ')} now`, one.id]),
    ...found.revocations.filter((one) => one.undone).map((one) => [one.undone, `${one.undone_by}: undone`, one.id]),
    ...found.trail.map((one) => [one.at, `${one.actor}: ${one.action.replace('.', ' ')} of ${one.target}`, one.details.reason ?? '']),
  ].sort((a, b) => Date.parse(a[0]) - Date.parse(b[0]));
  return h('ul', { class: 'history' }, rows.map(([at, what, detail]) => h('li', { 'data-key': `${at} ${what} ${detail}` },
    h('span', { class: 'quiet' }, utc(at)), ` ${what} `, h('span', { class: 'quiet id' }, detail))));
}

/** The verdicts of a campaign, newest first, each with its question. */
export function verdicts(found) {
  return h('ul', { class: 'history' }, found.map((one) => h('li', { 'data-key': one.id },
    h('span', { class: 'quiet' }, utc(one.decided_at_unix_nano / 1e6)), ' ', h('span', { class: `badge ${one.action}` }, ACTION[one.action]),
    ` ${plural(one.members.length, 'account')}${one.mode === 'shadow' ? ', in shadow ' : ' '}`, why(one.id))));
}

export const why = (verdict) => h('button', { type: 'button', class: 'small', 'data-do': 'why', 'data-verdict': verdict }, 'Why?');
