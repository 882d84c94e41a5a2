// Each stack's token and content webhook, as rows: one for all where they are well, one for each that is not. Contentstack is asked
// once for each installation, and not about more of them than a report has time for.
import type { Db } from '../../database/database.ts'
import { isAppError } from '../../errors.ts'
import type { Check } from '../../http/contract/doctor.ts'
import { custodyLinks } from '../../installations/install.ts'
import type { Installation } from '../../installations/installation.ts'
import { tokensOf } from '../../installations/token.ts'
import { holdOf } from '../../jobs/queue.ts'
import { webhookHealth } from '../../webhooks/health.ts'
import type { Deps } from '../deps.ts'
import { bad, counted, few, ok, type Probe, skipped, spanOf, warn } from './check.ts'

const mostAsked = 20
const mostRows = 20
const dayMs = 86_400_000
const soonMs = 7 * dayMs
/** The watch looks once an hour. */
const unwatchedMs = 3 * 3_600_000

export function stackProbes(deps: Deps): Probe[] {
  return [
    { name: 'tokens', run: () => tokens(deps) },
    {
      name: 'content webhooks',
      run: signal => webhooks(deps, signal),
      lateRemedy: 'Contentstack is slow, or its limits are used up: try again.'
    }
  ]
}

async function active(db: Db): Promise<Installation[]> {
  return await db
    .selectFrom('installation')
    .innerJoin('organization', 'organization.id', 'installation.organization_id')
    .selectAll('installation')
    .where('installation.status', '=', 'active')
    .where('organization.status', '=', 'claimed')
    .orderBy('installation.id')
    .execute()
}

const nameOf = ({ stack_name: name, stack_api_key: apiKey }: Installation): string => name || apiKey

async function tokens(deps: Deps): Promise<Check[]> {
  const { db } = deps
  const installations = await active(db)
  if (installations.length === 0) return [ok('tokens', 'no stack has the app installed yet')]
  const rows: Check[] = []
  for (const installation of installations) rows.push(...(await tokenRows(deps, installation)))
  if (rows.length > mostRows)
    return [...rows.slice(0, mostRows), warn('tokens', `${rows.length - mostRows} more like these.`, 'See quayside tokens.')]
  return rows.length > 0 ? rows : [ok('tokens', `${counted(installations.length, 'token')} in custody, accepted when last looked at`)]
}

async function tokenRows(deps: Deps, installation: Installation, now = Date.now()): Promise<Check[]> {
  const { db, vault } = deps
  const name = `token ${nameOf(installation)}`
  const all = await tokensOf(db, installation.id, ['active', 'expiring', 'dead', 'orphaned'])
  const token = all.find(({ status }) => status === 'active' || status === 'expiring')
  const orphans = all.filter(({ status }) => status === 'orphaned')
  const [page = { url: '' }] = links(deps, installation)
  const rotate = `An Owner or Admin of the stack rotates it: ${page.url}`
  const rows: Check[] = []
  if (!token) {
    const dead = all.find(({ status }) => status === 'dead')
    const hold = await holdOf(db, installation.id)
    const words = dead ? 'Contentstack refuses it' : 'None is in custody'
    rows.push(
      (dead ? bad : warn)(
        name,
        `${words}${hold ? `; this stack's work has been waiting for ${spanOf(now - hold.heldAt)}` : ''}.`,
        rotate.replace('rotates it', 'connects one')
      )
    )
  } else if (token.expires_at !== null && token.expires_at - now < soonMs) {
    const left = token.expires_at - now
    rows.push((left < dayMs ? bad : warn)(name, left <= 0 ? 'It has ended.' : `It ends in ${spanOf(left)}.`, rotate))
  } else if (token.checked_at !== null && now - token.checked_at > unwatchedMs) {
    rows.push(warn(name, `Nobody has looked at it for ${spanOf(now - token.checked_at)}.`, `Run: quayside tokens check ${installation.id}`))
  }
  const state = token?.secret_id ? (await vault.statesOf(db, [token.secret_id])).get(token.secret_id) : undefined
  if (state === 'exposed') rows.push(bad(name, 'A key that sealed it was given as compromised.', rotate))
  if (orphans.length > 0) {
    const words = `May still stand at Contentstack, and nobody here holds them: ${few(orphans.map(orphan => orphan.name))}.`
    rows.push(warn(name, words, 'The next grant deletes them, or a person under Settings > Tokens in Contentstack.'))
  }
  return rows
}

/** A region that is not configured any more has no page to show; the hosts' row says so. */
function links(deps: Deps, installation: Installation): { url: string }[] {
  return deps.apps.some(app => app.region.id === installation.region) ? custodyLinks(deps, installation) : []
}

async function webhooks(deps: Deps, signal: AbortSignal): Promise<Check[]> {
  const { db } = deps
  const installations = await active(db)
  if (installations.length === 0) return []
  const rows: Check[] = []
  let well = 0
  await Promise.all(
    installations.slice(0, mostAsked).map(async installation => {
      const found = await webhookRows(deps, installation, signal)
      if (found.length === 0) well += 1
      rows.push(...found)
    })
  )
  const beyond = installations.length - mostAsked
  const arrivals = await Promise.all(installations.slice(0, mostAsked).map(async ({ id }) => (await lastArrival(db, id)) ?? 0))
  const last = Math.max(...arrivals)
  const words = `${counted(well, 'webhook')} enabled; ${last === 0 ? 'no delivery has come yet' : `the last delivery came ${spanOf(Date.now() - last)} ago`}`
  return [
    ...(well > 0 ? [ok('content webhooks', words)] : []),
    ...rows.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    ...(beyond > 0 ? [skipped('content webhooks', `${beyond} more installations were not asked about.`)] : [])
  ]
}

async function webhookRows(deps: Deps, installation: Installation, signal: AbortSignal): Promise<Check[]> {
  const { db } = deps
  const name = `webhook ${nameOf(installation)}`
  const target = `${deps.publicUrl}/webhooks/content/${installation.id}`
  const later = 'It is looked at every ten minutes and mended by itself; if it stays so, read the log.'
  try {
    const stack = await deps.stackFor(installation.id, { lane: 'people', actor: { kind: 'system', id: 'doctor' }, signal })
    const all = await stack.webhooks()
    const ours =
      all.find(({ uid }) => uid === installation.webhook_uid) ?? all.find(hook => hook.destinations.some(to => to.target_url === target))
    if (!ours) return [bad(name, 'Contentstack has no webhook of ours in this stack, so changes are found by comparison only.', later)]
    if (ours.disabled)
      return [
        bad(
          name,
          'Contentstack has disabled our webhook; what changed meanwhile is caught up once it stands again.',
          `See public address. ${later}`
        )
      ]
    if (!ours.destinations.some(to => to.target_url === target))
      return [bad(name, `Our webhook leads to another address than ${deps.publicUrl}.`, later)]
    return [...(await healthRows(db, installation)), ...(await silence(db, installation))]
  } catch (error) {
    signal.throwIfAborted()
    if (isAppError(error, 'unauthorized'))
      return [skipped(name, 'Not asked: no token that works is in custody.', 'See the token of this stack.')]
    return [
      warn(
        name,
        isAppError(error) ? `Contentstack could not be asked: ${error.message}` : 'Contentstack could not be asked.',
        'Try again; see the hosts of its region.'
      )
    ]
  }
}

/** What the last comparisons with Contentstack's log, and the last gap, have left. */
async function healthRows(db: Db, installation: Installation): Promise<Check[]> {
  const rows: Check[] = []
  for (const { branch, missed, missedAt, gap } of await webhookHealth(db, installation.id)) {
    const name = `webhook ${nameOf(installation)}${branch === 'main' ? '' : ` (${branch})`}`
    if (missedAt !== null && Date.now() - missedAt < dayMs) {
      const words = `Contentstack sent what never arrived, last found ${spanOf(Date.now() - missedAt)} ago (${missed} in all); it was looked at then.`
      rows.push(warn(name, words, "See public address, and whether something before it answers in this server's place."))
    }
    if (gap === 'failed')
      rows.push(warn(name, 'What changed while it was disabled could not be caught up.', 'Run the syncs of this stack once more.'))
  }
  return rows
}

const echoMs = 10 * 60_000
/** Of an organization's ledger, so that a long one costs no more than a short one. */
const lastWrites = 5_000

/** Contentstack tells us of what we write ourselves, too. Where it did not, it tells us of nobody's changes. */
async function silence(
  db: Db,
  { id, organization_id: organizationId, stack_name: stack, stack_api_key: apiKey }: Installation
): Promise<Check[]> {
  const written = await db
    .selectFrom(query =>
      query
        .selectFrom('write_ledger')
        .select(['at', 'installation_id', 'entry_uid', 'status'])
        .where('organization_id', '=', organizationId)
        .orderBy('id', 'desc')
        .limit(lastWrites)
        .as('recent')
    )
    .select(({ fn }) => fn.max<number | null>('at').as('at'))
    .where('installation_id', '=', id)
    .where('entry_uid', 'is not', null)
    .where('status', '<', 300)
    .where('at', '<', Date.now() - echoMs)
    .executeTakeFirst()
  const at = written?.at ?? null
  if (at === null || ((await lastArrival(db, id)) ?? 0) >= at - 60_000) return []
  const words = `It is enabled, and yet nothing arrived after an entry was written here ${spanOf(Date.now() - at)} ago.`
  return [warn(`webhook ${stack || apiKey}`, words, "See public address, and the webhook's own log in Contentstack.")]
}

async function lastArrival(db: Db, installationId: string): Promise<number | null> {
  const row = await db
    .selectFrom('delivery')
    .select('received_at')
    .where('installation_id', '=', installationId)
    .where('module', '!=', 'app_installation')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.received_at ?? null
}
