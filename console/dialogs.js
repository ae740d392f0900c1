// Everything that changes something asks first, in one dialog, and says what will happen.

import { ask, once } from './api.js';
import { h } from './dom.js';
import { plural } from './words.js';

const $ = (id) => document.getElementById(id);
let pending = null;

/** `send` gets the form's values; what it throws is shown in the dialog, which stays open. */
function open({ title, text, fields = [], go, danger = false, send, then }) {
  $('dialog-title').textContent = title;
  $('dialog-text').textContent = text;
  $('dialog-fields').replaceChildren(...fields);
  $('dialog-problem').textContent = '';
  $('dialog-go').textContent = go;
  $('dialog-go').className = danger ? 'strong danger' : 'strong';
  $('dialog-go').disabled = false;
  pending = { send, then };
  $('dialog').showModal();
}

export const closeDialog = () => $('dialog').close();

export async function submitDialog() {
  $('dialog-go').disabled = true;
  $('dialog-problem').textContent = '';
  try {
    await pending.send(Object.fromEntries(new FormData($('dialog-form'))));
    closeDialog();
    pending.then();
  } catch (error) {
    const fields = (error.errors ?? []).map((item) => `${item.field}: ${item.detail}`).join('. ');
    $('dialog-problem').textContent = `${error.message}${fields ? ` (${fields})` : ''}`;
  } finally {
    $('dialog-go').disabled = false;
  }
}

export function kill(on, then) {
  open({
    title: on ? 'Turn enforcement on?' : 'Turn enforcement off?',
    text: on
      ? 'Every stored revocation that has time left is enforced again, at every gateway, within a second.'
      : 'Every gateway allows everything within a second. Revocations stay stored, and their time runs on.',
    fields: [h('label', {}, 'Reason, for the audit log', h('input', { name: 'reason', maxlength: 1000, autocomplete: 'off' }))],
    go: on ? 'Turn on' : 'Turn off',
    danger: true,
    send: ({ reason }) => ask('v1/control/enforcement', { method: 'PUT', body: { enforcement: on ? 'on' : 'off', reason } }),
    then,
  });
}

export function undo({ id, target, kind, count }, then) {
  const who = kind === 'campaign' ? `${plural(Number(count), 'account')} of campaign ${target}` : `${kind} ${target}`;
  open({
    title: `Undo ${id}?`,
    text: `${who} is no longer held back by it, within a second. The record stays.`,
    go: 'Undo',
    send: () => ask(`v1/revocations/${encodeURIComponent(id)}`, { method: 'DELETE' }),
    then,
  });
}

export function agree({ id, target, kind, count, action }, then) {
  const who = kind === 'campaign' ? `${plural(Number(count), 'account')} of campaign ${target}` : `${kind} ${target}`;
  open({
    title: `Agree to ${id}?`,
    text: `In the name of your key's owner. When enough people have agreed, "${action}" holds for ${who} at every gateway within a second.`,
    fields: [h('label', {}, 'Note, for the audit log', h('input', { name: 'note', maxlength: 1000, autocomplete: 'off' }))],
    go: 'Agree',
    danger: true,
    send: ({ note }) => ask(`v1/approvals/${encodeURIComponent(id)}`, { method: 'POST', body: { note } }),
    then,
  });
}

export function reject({ id }, then) {
  open({
    title: `Reject ${id}?`,
    text: 'It never acts. The record stays, and the policy does not ask for the same again.',
    go: 'Reject',
    send: () => ask(`v1/approvals/${encodeURIComponent(id)}`, { method: 'DELETE' }),
    then,
  });
}

const ACTIONS = [
  ['throttle', 'Throttle: told to slow down (429)'], ['challenge', 'Challenge: must verify (403)'],
  ['suspend', 'Suspend: refused, meant to come back (403)'], ['revoke', 'Revoke: refused (403)'], ['observe', 'Observe: allowed, marked for the gateway'],
];
const TIMES = [[3_600, '1 hour'], [86_400, '1 day'], [604_800, '1 week'], [2_592_000, '30 days']];
const option = ([value, text]) => h('option', { value }, text);

export function act({ kind, target }, then) {
  let sent = '', idempotencyKey = '';
  open({
    title: `Act on ${kind} ${target}`,
    text: kind === 'campaign' ? 'Covers the members that are sure enough now. Accounts that join later are not covered.' : 'Gateways follow within a second.',
    fields: [
      h('label', {}, 'What', h('select', { name: 'action' }, ACTIONS.map(option))),
      h('label', {}, 'For', h('select', { name: 'ttl_s' }, TIMES.map(option))),
      kind === 'campaign' && h('label', {}, 'Members with a confidence of at least', h('input', { name: 'min_confidence', type: 'number', min: 0, max: 1, step: 'any', value: 0.9 })),
      h('label', {}, 'Reason, for whoever looks later', h('input', { name: 'reason', required: true, maxlength: 1000, autocomplete: 'off' })),
      h('label', { class: 'check' }, h('input', { name: 'dry_run', type: 'checkbox' }), 'Dry run: record it, do nothing'),
    ].filter(Boolean),
    go: 'Do it',
    danger: true,
    send: (form) => {
      const body = {
        [kind]: target, action: form.action, reason: form.reason, ttl_s: Number(form.ttl_s), dry_run: form.dry_run === 'on',
        ...(kind === 'campaign' ? { min_confidence: Number(form.min_confidence) } : {}),
      };
      // The same form sent twice is one revocation; a corrected form is another request.
      if (JSON.stringify(body) !== sent) [sent, idempotencyKey] = [JSON.stringify(body), once()];
      return ask('v1/revocations', { method: 'POST', headers: { 'idempotency-key': idempotencyKey }, body });
    },
    then,
  });
}
