// The demo's course and its figures: install, grant, syncs, scripts, Ada's leaving. Each figure is read back from the stack and
// the database at the end; a figure that does not hold throws.
import Database from 'better-sqlite3'
import { join } from 'node:path'
import type { Installation } from '../world/model.ts'
import { ada, otto } from '../world/people.ts'
import { type CmsLogin, giveGrant, install, logIn, openApp, until } from './admin.ts'
import type { Progress } from './progress.ts'
import type { Stage } from './stage.ts'
import { adaLeaves, type Cast, editEntry, grantOf, runScripts } from './story.ts'
import { compare, createDemoSyncs, destinationFile, waitForSyncs } from './syncs.ts'

export interface Figures {
  token: string
  grantRevoked: boolean
  outbound: { entries: number; rows: number }
  inbound: { records: number; entries: number }
  afterLeaving: { authtoken: number; grant: string; key: number; syncs: string }
}

export interface Outcome {
  figures: Figures
  installationUid: string
  /** Somebody who is still here. */
  editor: CmsLogin
  entry: { contentType: string; uid: string }
}

export async function check(stage: Stage, progress: Progress): Promise<Outcome> {
  const { person, urls, server, app, stack } = stage
  const organizationUid = stack.organizationUid
  const login = await logIn(person, urls, ada)

  const installationUid = await install(person, urls, login, app.appUid, organizationUid, stack.apiKey)
  progress.say(`Ada installed the app in "${stack.name}"`)
  const pages = await openApp(person, urls, server.url, login, installationUid)
  const custody = await giveGrant(person, urls, login, app.appUid, organizationUid, pages)
  progress.say(
    `Ada's one-time grant minted the token "${custody.current?.name}", sealed and verified; the grant is ${custody.grant?.status}`
  )

  const admin = await openApp(person, urls, server.url, login, installationUid)
  const { outbound, inbound } = await createDemoSyncs(admin)
  progress.say(
    `Syncing ${outbound.length} content types -> SQLite, and ${stage.records} countries -> ${inbound.map(sync => sync.contentType).join()}`
  )
  const look = () => compare(person, urls.control, stack.apiKey, stage.filesDirectory, outbound)
  await waitForSyncs(admin, stage.records, look, progress, 240)
  progress.say('Both directions are complete and agree')

  const contentType = await scriptedType(stage)
  const created = await admin.createKey({
    name: 'nightly update',
    scopes: [{ module: 'entries', actions: ['read', 'write'], contentTypes: [contentType] }],
    expiresInDays: 30
  })
  const cast: Cast = { person, urls, server: server.url, apiKey: stack.apiKey, contentType, ada: login, accessKey: created.key }
  const before = await runScripts(cast)
  progress.say(`The nightly script, on Ada's authtoken:  ${before.authtoken.line}`)
  progress.say(`The nightly script, on an access key:    ${before.key.line}`)
  if (before.authtoken.status !== 200 || before.key.status !== 200) throw new Error('A script was refused while Ada was still here.')

  await adaLeaves(cast)
  progress.say('Ada leaves')
  const after = await runScripts(cast)
  const grant = await grantOf(cast)
  const tokenAuthor = stack.writes.findLast(write => write.by.kind === 'management_token')?.by
  progress.say(`  her script:      ${after.authtoken.line}`)
  progress.say(`  her grant:       ${grant}`)
  progress.say(`  the key's:       ${after.key.line}`)
  progress.say(`  the token names: ${tokenAuthor ? 'nobody' : 'unknown'} (writes are recorded as ${tokenAuthor?.name ?? 'none'})`)

  const editor = await logIn(person, urls, otto)
  const edited = await editEntry(cast, editor)
  const target = outbound.find(sync => sync.contentType === contentType)?.target ?? contentType
  const arrivedAfterMs = await arrives(stage, target, edited)
  progress.say(`  the syncs:       running (Otto's edit reached the database after ${arrivedAfterMs} ms)`)

  const last = await waitForSyncs(await openApp(person, urls, server.url, editor, installationUid), stage.records, look, progress, 60)
  const figures: Figures = {
    token: (await (await openApp(person, urls, server.url, editor, installationUid)).custody()).current?.status ?? 'none',
    grantRevoked: custody.grant?.status === 'revoked' && grant === 'revoked',
    outbound: { entries: last.entries, rows: last.rows },
    inbound: { records: stage.records, entries: last.countries },
    afterLeaving: { authtoken: after.authtoken.status, grant, key: after.key.status, syncs: 'running' }
  }
  const held = figures.token === 'active' && figures.grantRevoked && after.authtoken.status === 401 && after.key.status === 200
  if (!held) throw new Error(`Not as it should be: ${JSON.stringify(figures)}`)
  return { figures, installationUid, editor, entry: { contentType, uid: edited.uid } }
}

/** A kept world goes on where it stood: nothing to install, only to find again. */
export async function goOn(stage: Stage, installed: Installation): Promise<Pick<Outcome, 'installationUid' | 'editor' | 'entry'>> {
  const { person, urls, stack } = stage
  const contentType = await scriptedType(stage)
  const [uid] = Object.keys(stack.entries.main?.[contentType] ?? {})
  if (uid === undefined) throw new Error(`The content type ${contentType} has no entry.`)
  return { installationUid: installed.uid, editor: await logIn(person, urls, otto), entry: { contentType, uid } }
}

/** The content type with the most entries that the countries are not written to. */
async function scriptedType({ person, urls, stack }: Stage): Promise<string> {
  const { body } = await person.ask<{ entries: Record<string, Record<string, number>> }>(`${urls.control}/counts?api_key=${stack.apiKey}`)
  const total = (uid: string) => Object.values(body.entries[uid] ?? {}).reduce((sum, count) => sum + count, 0)
  const [uid] = Object.keys(body.entries)
    .filter(uid => uid !== 'country')
    .sort((a, b) => total(b) - total(a))
  if (!uid || total(uid) === 0) throw new Error('The stack has no entries beside the countries.')
  return uid
}

/** Milliseconds until the row of the entry's master locale shows at least this version. */
async function arrives(stage: Stage, table: string, entry: { uid: string; version: number }): Promise<number> {
  const startedAt = performance.now()
  const database = new Database(join(stage.filesDirectory, destinationFile), { readonly: true })
  try {
    const version = database.prepare(`select version from "${table.replaceAll('"', '""')}" where entry_uid = ? and locale = ?`).pluck()
    await until(
      `version ${entry.version} of ${entry.uid} in the database`,
      async () => (Number(version.get(entry.uid, stage.stack.masterLocale)) >= entry.version ? true : null),
      30
    )
  } finally {
    database.close()
  }
  return Math.round(performance.now() - startedAt)
}
