// Alerts bound for the doors and the worker: what the room needs of config, vault and outgoing guard, and its rows in the contract's shapes.
import { listAlerts, linksOf } from '../alerts/alert.ts'
import { alertJobs as jobsOf, type DeliveryDeps, testRecipient } from '../alerts/deliver.ts'
import { addRecipient, listRecipients, type RecipientDeps, type RecipientRow, removeRecipient } from '../alerts/recipients.ts'
import type { Row } from '../database/schema.ts'
import type * as shapes from '../http/contract/stack.ts'
import { listOf, pageSize } from '../http/present.ts'
import type { StackServices } from '../http/stack-routes.ts'
import { installationById } from '../installations/installation.ts'
import type { JobKind } from '../jobs/job.ts'
import type { Deps } from './deps.ts'

export function alertServices(deps: Deps): Pick<StackServices, 'alerts' | 'recipients'> {
  const { db } = deps
  const room = roomOf(deps)
  return {
    alerts: {
      list: async ({ installationId, before }) => listOf(await listAlerts(db, { installationId, before, limit: pageSize }), presentAlert)
    },
    recipients: {
      list: async id => await views(deps, await listRecipients(db, id)),
      async add(id, actor, recipient) {
        const installation = await installationById(db, id)
        const { row, signingSecret } = await addRecipient(db, room, { installation, ...recipient, actor })
        return { recipient: present(row), signingSecret }
      },
      remove: async (installationId, actor, id) => present(await removeRecipient(db, room, { installationId, id, actor })),
      test: async (installationId, id) => present(await testRecipient(db, room, { installationId, id }))
    }
  }
}

export function alertJobs(deps: Deps): JobKind[] {
  return jobsOf(deps.db, roomOf(deps))
}

function roomOf({ vault, guard, publicUrl, alertSettings }: Deps): RecipientDeps & DeliveryDeps {
  return {
    vault,
    fetch: guard.fetch,
    resolve: host => guard.resolve(host),
    publicUrl,
    httpAllowed: alertSettings.httpAllowed,
    mails: alertSettings.smtp !== undefined,
    smtp: alertSettings.smtp ?? null,
    standing: alertSettings.recipients
  }
}

/** A secret that is gone or may be known to others is nothing the last sending could tell. */
async function views({ db, vault }: Deps, rows: RecipientRow[]): Promise<shapes.AlertRecipient[]> {
  const states = await vault.statesOf(
    db,
    rows.flatMap(row => row.secret_id ?? [])
  )
  return rows.map(row => {
    const state = row.secret_id === null ? 'kept' : states.get(row.secret_id)
    return state === 'kept' ? present(row) : present({ ...row, error: state === 'exposed' ? exposed : erased })
  })
}

const exposed = 'The key that sealed this address may be known to others. Have a new address made, add it, and remove this one.'
const erased = 'The address is not in the vault any more. Remove the recipient and add it anew.'

function present(row: RecipientRow): shapes.AlertRecipient {
  return {
    id: row.id,
    kind: row.kind,
    address: row.address,
    createdBy: row.created_by,
    createdAt: row.created_at,
    sentAt: row.sent_at,
    error: row.error
  }
}

function presentAlert(row: Row<'alert'>): shapes.Alert {
  return { id: row.id, kind: row.kind, title: row.title, text: row.text, links: linksOf(row), at: row.created_at }
}
