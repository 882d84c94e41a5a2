// What a job of the background was there to do, in words. A kind that has none here is shown as it came.

export const jobKinds: Record<string, { word: string }> = {
  'sync.record': { word: 'Carry one record' },
  'sync.run': { word: 'Run of a sync' },
  'sync.parents': { word: 'Refresh the entries that embed a changed one' },
  'sync.fit': { word: 'Check that a mapping still fits' },
  'sync.schedule': { word: 'Begin a run by the clock' },
  'sync.plan': { word: 'Make a plan' },
  'sync.drift': { word: 'Compare both sides' },
  'sync.drift.schedule': { word: 'Begin a comparison by the clock' },
  'webhooks.dispatch': { word: 'Pass on a delivery' },
  'webhooks.register': { word: 'Register the webhook' },
  'alerts.send': { word: 'Send an alert' },
  'alerts.deliver': { word: 'Send an alert to one recipient' },
  'custody.grant': { word: 'Finish an authorization' },
  'custody.retire': { word: 'Delete a replaced token' },
  'custody.watch': { word: 'Look at the token' },
  'installation.active': { word: 'Begin to look after an installation' },
  'installation.token': { word: 'Take up a new token' },
  'installation.uninstalled': { word: 'Clear up after an uninstall' },
  'vault.renew-webhook': { word: 'Renew the secret of the webhook' }
}

export function jobWords(kind: string): string {
  return Object.hasOwn(jobKinds, kind) ? (jobKinds[kind]?.word ?? kind) : kind
}

const carriedLater = 'The record goes out with its next change or with the next run of its sync.'
const lost: Record<string, string> = {
  'sync.record': carriedLater,
  'sync.parents': 'They are refreshed with their next change or with the next run of their sync.',
  'sync.run': 'The run has ended as failed whether the job stands here or not; starting its sync again makes up for it.',
  'webhooks.dispatch': 'The changes that it told of are carried with the next change of those entries or the next run of their syncs.',
  'alerts.send': 'Nobody is told of this alert any more.',
  'alerts.deliver': 'The recipient is not told of this alert any more.'
}

/** What stays undone when a job is discarded. */
export function lostWords(kind: string): string {
  return Object.hasOwn(lost, kind) ? (lost[kind] ?? '') : 'What it was there to do stays undone.'
}
