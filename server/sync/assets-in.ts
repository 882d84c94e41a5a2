// Files that inbound records name by address, brought into the stack once for each content. A file is fetched through the guard,
// hashed, and looked for before it is uploaded: first in our own rows, then by the tag that every upload carries, which is also how
// one whose answer was lost is found again.
//
//   no row -> claimed (asset_uid null)   before the upload
//   claimed -> known (asset_uid)         the upload was answered, or was found by its tag
//   claimed -> claimed                   taken over, once whoever claimed it must be done or dead
//   known -> claimed                     the asset was deleted in the CMS
import { createHash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { Scalar, SourceRecord } from '../connectors/connector.ts'
import { isOutcomeUnknown } from '../contentstack/cma.ts'
import type { ContentType } from '../contentstack/stack.ts'
import type { Db } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import type { Work } from './inbound-work.ts'
import type { Mapping } from './mapping.ts'

/** Four are held in memory at once. The CMA takes 100 MB: https://www.contentstack.com/docs/developers/apis/content-management-api#upload-asset */
export const largestFileBytes = 25 * 1024 * 1024
const fetchSeconds = 60

/** Tags are at most 50 characters long: 160 bits of the hash, and the size is compared as well. */
export const tagOf = (hash: string): string => `quayside-${hash.slice(0, 40)}`

interface FetchedFile {
  bytes: Uint8Array<ArrayBuffer>
  hash: string
  contentType: string
  filename: string
}

/** The record with the addresses in its file fields replaced by assets' uids. AppError invalid for what cannot be fetched. */
export async function withAssets(
  db: Db,
  work: Work,
  record: SourceRecord,
  mapping: readonly Mapping[]
): Promise<{ record: SourceRecord; mapping: Mapping[] }> {
  const values = { ...record.values }
  const rows: Mapping[] = []
  for (const row of mapping) {
    const field = work.contentType.schema.find(candidate => candidate.uid === row.to)
    const given = row.from !== undefined && field?.data_type === 'file' ? itemsOf(record.values[row.from] ?? null) : []
    if (!given.some(isAddress)) {
      rows.push(row)
      continue
    }
    const uids: string[] = []
    for (const item of given) uids.push(isAddress(item) ? await assetAt(db, work, item) : item)
    const from = `${row.from} as ${row.to}`
    values[from] = field?.multiple === true ? JSON.stringify(uids) : (uids[0] ?? null)
    rows.push({ ...row, from })
  }
  return { record: { ...record, values }, mapping: rows }
}

/** Without fetching anything: the addresses by field, and the mapping without those fields. */
export function addressesIn(
  contentType: ContentType,
  record: SourceRecord,
  mapping: readonly Mapping[]
): { mapping: Mapping[]; addresses: Record<string, string> } {
  const addresses: Record<string, string> = {}
  const rest = mapping.filter(row => {
    const field = contentType.schema.find(candidate => candidate.uid === row.to)
    const given = row.from !== undefined && field?.data_type === 'file' ? itemsOf(record.values[row.from] ?? null) : []
    if (given.some(isAddress)) addresses[row.to] = given.join(' ')
    return !Object.hasOwn(addresses, row.to)
  })
  return { mapping: rest, addresses }
}

/** An address is fetched once a turn, whatever names it. */
async function assetAt(db: Db, work: Work, address: string): Promise<string> {
  return await once(work.files, address, async () => {
    const file = await fetchFile(work, address)
    return await once(work.files, file.hash, () => assetOf(db, work, file))
  })
}

async function once(known: Map<string, Promise<string>>, key: string, find: () => Promise<string>): Promise<string> {
  const found = known.get(key) ?? find()
  known.set(key, found)
  return await found
}

/** Whatever goes wrong is the record's own trouble: one dead host must not stop the others. */
async function fetchFile({ fetch, signal }: Work, address: string): Promise<FetchedFile> {
  const url = new URL(address)
  // What follows the path may be a signature that gives access.
  const shown = `${url.host}${url.pathname}`.slice(0, 200)
  const refuse = (why: string, cause?: unknown): AppError => new AppError('invalid', `The file at ${shown} ${why}.`, { cause })
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(fetchSeconds * 1000)]) })
    const contentType = (response.headers.get('content-type') ?? 'application/octet-stream').split(';')[0]?.trim().toLowerCase() ?? ''
    if (!response.ok || contentType === 'text/html' || Number(response.headers.get('content-length') ?? 0) > largestFileBytes) {
      await response.body?.cancel()
      if (!response.ok) throw refuse(`was answered with ${response.status}`)
      throw contentType === 'text/html' ? refuse('is a web page, not a file') : tooLarge(refuse)
    }
    const bytes = await readAll(response, () => tooLarge(refuse))
    if (bytes.length === 0) throw refuse('is empty')
    return { bytes, hash: createHash('sha256').update(bytes).digest('hex'), contentType, filename: nameOf(url) }
  } catch (error) {
    if (signal.aborted || isAppError(error, 'invalid')) throw error
    if (isAppError(error)) throw refuse(`cannot be fetched: ${error.message}`, error)
    throw refuse('cannot be fetched', error)
  }
}

const tooLarge = (refuse: (why: string) => AppError): AppError => refuse(`is larger than ${largestFileBytes / 1024 / 1024} MB`)

async function readAll(response: Response, overflow: () => AppError): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > largestFileBytes) throw overflow()
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

function nameOf(url: URL): string {
  const last = url.pathname.split('/').at(-1) ?? ''
  let name = last
  try {
    name = decodeURIComponent(last)
  } catch {
    // As it stands.
  }
  return name.replaceAll(/[^\p{L}\p{N}._() -]/gu, '_').slice(-100) || 'file'
}

async function assetOf(db: Db, work: Work, file: FetchedFile): Promise<string> {
  const claim = await claimCopy(db, work, file.hash)
  if (claim.uid !== null) return claim.uid
  const known = await findByTag(work, file, claim.fresh ? [0] : [0, 1_000, 2_000])
  const uid = known ?? (await upload(db, work, file))
  await copyOf(db, work, file.hash).set({ asset_uid: uid }).execute()
  return uid
}

/** Either the uid of an asset that stands, or the right to upload; `fresh`: nobody has tried before. */
async function claimCopy(db: Db, work: Work, hash: string): Promise<{ uid: string | null; fresh: boolean }> {
  const { sync, settleSeconds, signal, stack } = work
  for (;;) {
    const now = Date.now()
    const inserted = await db
      .insertInto('asset_copy')
      .values({
        installation_id: sync.installation_id,
        branch: sync.branch,
        content_hash: hash,
        organization_id: sync.organization_id,
        asset_uid: null,
        claimed_at: now
      })
      .onConflict(conflict => conflict.columns(['installation_id', 'branch', 'content_hash']).doNothing())
      .returning('content_hash')
      .execute()
    if (inserted.length > 0) return { uid: null, fresh: true }
    const row = await db
      .selectFrom('asset_copy')
      .selectAll()
      .where('installation_id', '=', sync.installation_id)
      .where('branch', '=', sync.branch)
      .where('content_hash', '=', hash)
      .executeTakeFirst()
    if (!row) continue
    if (row.asset_uid !== null && (await stack.asset(row.asset_uid))) return { uid: row.asset_uid, fresh: false }
    const due = row.asset_uid !== null || row.claimed_at + settleSeconds * 1000 <= now
    if (due) {
      const taken = await copyOf(db, work, hash)
        .set({ asset_uid: null, claimed_at: now })
        .where('claimed_at', '=', row.claimed_at)
        .where('asset_uid', row.asset_uid === null ? 'is' : '=', row.asset_uid)
        .executeTakeFirst()
      if (taken.numUpdatedRows > 0n) return { uid: null, fresh: false }
    } else await wait(Math.min(500, row.claimed_at + settleSeconds * 1000 - now), undefined, { signal })
  }
}

async function upload(db: Db, work: Work, file: FetchedFile): Promise<string> {
  const { stack, sync, signal } = work
  try {
    const { bytes, filename, contentType } = file
    return (await stack.createAsset({ bytes, filename, contentType, tags: [tagOf(file.hash)] })).uid
  } catch (error) {
    if (signal.aborted) throw error
    if (isOutcomeUnknown(error)) {
      const uid = await findByTag(work, file, [0, 300, 1_000, 2_000])
      if (uid !== null) return uid
      throw error
    }
    // Surely refused: nobody need wait for what was not uploaded.
    await db
      .deleteFrom('asset_copy')
      .where('installation_id', '=', sync.installation_id)
      .where('branch', '=', sync.branch)
      .where('content_hash', '=', file.hash)
      .where('asset_uid', 'is', null)
      .execute()
    throw error
  }
}

/** A look-up may lag behind an upload. */
async function findByTag({ stack, signal }: Work, { hash, bytes }: FetchedFile, pauses: readonly number[]): Promise<string | null> {
  const tag = tagOf(hash)
  for (const pause of pauses) {
    if (pause > 0) await wait(pause, undefined, { signal })
    const { assets } = await stack.assetsPage({ query: { tags: { $in: [tag] } }, limit: 10 })
    const found = assets.find(asset => {
      const tags = asset['tags']
      return Array.isArray(tags) && tags.includes(tag) && Number(asset['file_size']) === bytes.length
    })
    if (found) return found.uid
  }
  return null
}

function copyOf(db: Db, { sync }: Work, hash: string) {
  return db
    .updateTable('asset_copy')
    .where('installation_id', '=', sync.installation_id)
    .where('branch', '=', sync.branch)
    .where('content_hash', '=', hash)
}

function itemsOf(value: Scalar): string[] {
  if (typeof value !== 'string' || value === '') return []
  if (!value.startsWith('[')) return [value]
  try {
    const items: unknown = JSON.parse(value)
    return Array.isArray(items) ? items.filter(item => typeof item === 'string') : [value]
  } catch {
    return [value]
  }
}

function isAddress(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text)
}
