// The asset routes (contentstack.md §8.3): multipart upload and replacement, metadata, folders, publish, delete, and the public
// address that serves the bytes. 100 MB by API.
import { readFile } from 'node:fs/promises'
import busboy from 'busboy'
import { Router, type Request } from 'express'
import type { ChangeEvent } from '../changes.ts'
import type { SandboxContext } from '../context.ts'
import type { Asset } from '../world/model.ts'
import { assetsOf } from '../world/stack.ts'
import { newUid } from '../world/uids.ts'
import { assetShape } from './asset-shape.ts'
import type { Call, Doors } from './call.ts'
import { compile, type Reader } from './entry-query.ts'
import { flag, pageOf, queryOf } from './page.ts'
import { publishAsset, targetOf } from './publish.ts'
import { authorOf, recordWrite } from './record.ts'
import { invalidData, noSuchObject } from './refusal.ts'

const largestUpload = 100 * 1024 * 1024
const folderType = 'application/vnd.contenstack.folder'

export function assetRoutes(context: SandboxContext, doors: Doors): Router {
  const router = Router()

  // Public, as images.contentstack.io is: whoever has the address has the bytes.
  router.get('/assets/:apiKey/:uid/:uploadUid/:filename', async (request, response) => {
    const stack = context.world.stacks[request.params.apiKey]
    const branches = Object.values(stack?.assets ?? {})
    const asset = branches.map(held => held[request.params.uid]).find(one => one?.uploadUid === request.params.uploadUid)
    const bytes = asset && !asset.isDir ? await bytesOf(asset) : null
    if (!asset || !bytes) {
      response.status(404).type('text/plain').send('Not Found')
      return
    }
    response.setHeader('content-type', asset.contentType)
    response.setHeader('x-content-type-options', 'nosniff')
    // An uploaded SVG or HTML must not run as the CMS's own page.
    response.setHeader('content-security-policy', "sandbox; default-src 'none'; style-src 'unsafe-inline'")
    response.send(bytes)
  })

  router.get(
    '/assets',
    doors.stack(call => {
      call.permit('assets', 'read')
      const { rest } = compile(queryOf(call.params), [])
      const folder = call.params.get('folder')
      const folders = flag(call.params, 'include_folders')
      const found = Object.values(assetsOf(call.stack, call.branch)).filter(
        asset =>
          (folders || !asset.isDir) && (folder === null || asset.parentUid === folder) && (rest === null || rest(reader(call, asset)))
      )
      sort(found, call)
      return {
        body: pageOf(
          found.map(asset => shapeOf(call, asset)),
          call.params,
          'assets'
        )
      }
    })
  )

  // By kind; what came in through a rich text editor (`rt`) is not told apart here, so none did.
  router.get(
    ['/assets/images', '/assets/videos', '/assets/rt'],
    doors.stack((call, request) => {
      call.permit('assets', 'read')
      const prefix = request.path.endsWith('/images') ? 'image/' : request.path.endsWith('/videos') ? 'video/' : null
      const found = Object.values(assetsOf(call.stack, call.branch)).filter(
        asset => prefix !== null && asset.contentType.startsWith(prefix)
      )
      sort(found, call)
      return {
        body: pageOf(
          found.map(asset => shapeOf(call, asset)),
          call.params,
          'assets'
        )
      }
    })
  )

  router.post(
    '/assets',
    doors.stack(async (call, request) => {
      if (call.context.plays.writeProbe === 'permission-first') call.permit('assets', 'write')
      const upload = await received(request)
      if (!upload.file) throw invalidData('Asset creation failed. Please enter valid data.', { upload: ['is a required field.'] })
      call.permit('assets', 'write')
      const at = call.context.clock.iso()
      const by = authorOf(call)
      const asset: Asset = {
        uid: newUid(),
        title: upload.fields.get('title') ?? upload.file.filename,
        description: upload.fields.get('description') ?? '',
        parentUid: parentGiven(call, upload.fields.get('parent_uid')),
        tags: tagsIn(upload.fields.get('tags')),
        version: 1,
        isDir: false,
        createdAt: at,
        createdBy: by,
        updatedAt: at,
        updatedBy: by,
        publishDetails: [],
        ...stored(upload.file)
      }
      assetsOf(call.stack, call.branch)[asset.uid] = asset
      settle(call, asset, 'create')
      return { status: 201, body: { notice: 'Asset created successfully.', asset: shapeOf(call, asset) } }
    })
  )

  router.post(
    '/assets/folders',
    doors.stack(call => {
      const name = call.permitWrite('assets', () => nameGiven(call))
      const at = call.context.clock.iso()
      const by = authorOf(call)
      const given = assetGiven(call)
      const asset: Asset = {
        uid: newUid(),
        title: name,
        description: '',
        filename: name,
        contentType: folderType,
        fileSize: 0,
        isDir: true,
        parentUid: parentGiven(call, typeof given['parent_uid'] === 'string' ? given['parent_uid'] : undefined),
        uploadUid: newUid(),
        tags: [],
        version: 1,
        createdAt: at,
        createdBy: by,
        updatedAt: at,
        updatedBy: by,
        publishDetails: [],
        content: { base64: '' }
      }
      assetsOf(call.stack, call.branch)[asset.uid] = asset
      recordWrite(call, { action: 'create', module: 'asset', uid: asset.uid, branch: call.branch })
      return { status: 201, body: { notice: 'Folder created successfully.', asset: shapeOf(call, asset) } }
    })
  )

  router.get(
    ['/assets/:uid', '/assets/folders/:uid'],
    doors.stack((call, request) => {
      call.permit('assets', 'read')
      return { body: { asset: shapeOf(call, versionOf(named(call, request), call.params.get('version'))) } }
    })
  )

  router.put(
    ['/assets/:uid', '/assets/folders/:uid'],
    doors.stack(async (call, request) => {
      const asset = call.permitWrite('assets', () => named(call, request))
      const upload = request.is('multipart/form-data') ? await received(request) : null
      const { earlier = [], ...before } = asset
      asset.earlier = [...earlier, before]
      if (upload?.file) Object.assign(asset, stored(upload.file))
      const given = upload ? Object.fromEntries(upload.fields) : assetGiven(call)
      for (const name of ['title', 'description', 'filename'] as const) if (typeof given[name] === 'string') asset[name] = given[name]
      if (asset.isDir && typeof given['name'] === 'string') asset.title = given['name']
      if (Array.isArray(given['tags'])) asset.tags = given['tags'].filter(tag => typeof tag === 'string')
      else if (typeof given['tags'] === 'string') asset.tags = tagsIn(given['tags'])
      if (typeof given['parent_uid'] === 'string') asset.parentUid = parentGiven(call, given['parent_uid'])
      Object.assign(asset, { version: asset.version + 1, updatedAt: call.context.clock.iso(), updatedBy: authorOf(call) })
      settle(call, asset, 'update')
      return { body: { notice: 'Asset updated successfully.', asset: shapeOf(call, asset) } }
    })
  )

  router.delete(
    ['/assets/:uid', '/assets/folders/:uid'],
    doors.stack((call, request) => {
      const asset = call.permitWrite('assets', () => named(call, request))
      deleteAsset(call, asset)
      return { body: { notice: asset.isDir ? 'Folder deleted successfully.' : 'Asset deleted successfully.' } }
    })
  )

  for (const way of ['publish', 'unpublish'] as const) {
    router.post(
      `/assets/:uid/${way}`,
      doors.stack((call, request) => {
        const { asset, target } = call.permitWrite(
          'assets',
          () => ({ asset: named(call, request), target: targetOf(call, call.body['asset'], call.body) }),
          way
        )
        publishAsset(call, asset, way, target)
        return { body: { notice: way === 'publish' ? 'Asset sent for publishing.' : 'Asset sent for unpublishing.' } }
      })
    )
  }
  return router
}

/** A folder takes what lies in it along. */
export function deleteAsset(call: Call, asset: Asset): void {
  const held = assetsOf(call.stack, call.branch)
  for (const inside of Object.values(held)) if (asset.isDir && inside.parentUid === asset.uid) deleteAsset(call, inside)
  delete held[asset.uid]
  settle(call, asset, 'delete')
}

function settle(call: Call, asset: Asset, action: Extract<ChangeEvent, 'create' | 'update' | 'delete'>): void {
  recordWrite(call, { action, module: 'asset', uid: asset.uid, branch: call.branch, version: asset.version })
  const { apiKey } = call.stack
  const at = call.context.clock.iso()
  call.context.changes.emit({
    module: 'asset',
    event: action,
    apiKey,
    branch: call.branch,
    object: shapeOf(call, asset),
    by: call.credential,
    at
  })
}

function shapeOf(call: Call, asset: Asset): Record<string, unknown> {
  const more = { publishDetails: flag(call.params, 'include_publish_details'), dimension: flag(call.params, 'include_dimension') }
  return assetShape(call.stack, asset, call.context.urls.contentManagement, more)
}

function named(call: Call, request: Request): Asset {
  const asset = assetsOf(call.stack, call.branch)[String(request.params['uid'])]
  if (!asset) throw noSuchObject()
  return asset
}

/** That a single asset is read by version as an entry is: [MEM]. Publish details are the asset's, whatever version is read. */
function versionOf(asset: Asset, version: string | null): Asset {
  if (version === null || Number(version) === asset.version) return asset
  const found = asset.earlier?.find(one => one.version === Number(version))
  if (!found) throw noSuchObject('version')
  return { ...found, publishDetails: asset.publishDetails }
}

function reader(call: Call, asset: Asset): Reader {
  const shape = assetShape(call.stack, asset, call.context.urls.contentManagement)
  return path => [shape[path]].flat().filter(value => value !== undefined)
}

function sort(assets: Asset[], call: Call): void {
  const ascending = call.params.get('asc')
  const asked = ascending ?? call.params.get('desc') ?? 'updated_at'
  // As with entries: whether `asc=uid` holds is not established.
  const path = asked === 'uid' && call.context.plays.sortedPaging === 'unsorted' ? 'updated_at' : asked
  const keyed = new Map(assets.map(asset => [asset, sortKey(reader(call, asset)(path)[0])]))
  const sign = ascending === null ? -1 : 1
  assets.sort((a, b) => {
    const [left, right] = [keyed.get(a) ?? '', keyed.get(b) ?? '']
    return sign * (left === right ? (a.uid < b.uid ? -1 : 1) : left < right ? -1 : 1)
  })
}

function sortKey(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

async function bytesOf(asset: Asset): Promise<Buffer | null> {
  if ('base64' in asset.content) return Buffer.from(asset.content.base64, 'base64')
  return readFile(asset.content.path).catch(() => null)
}

interface ReceivedFile {
  filename: string
  contentType: string
  bytes: Buffer
}

/** `asset[upload]` is the file; other parts arrive as `asset[title]`, kept here as `title`. */
function received(request: Request): Promise<{ file: ReceivedFile | null; fields: Map<string, string> }> {
  return new Promise((resolve, reject) => {
    const refused = () => reject(invalidData('Asset creation failed. Please enter valid data.', { upload: ['is not valid.'] }))
    let parser: busboy.Busboy
    try {
      parser = busboy({ headers: request.headers, limits: { fileSize: largestUpload, files: 1 } })
    } catch {
      refused()
      return
    }
    const fields = new Map<string, string>()
    let file: ReceivedFile | null = null
    parser.on('file', (name, stream, info) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('limit', refused)
      stream.on('end', () => {
        if (name === 'asset[upload]')
          file = { filename: info.filename ?? 'upload', contentType: info.mimeType, bytes: Buffer.concat(chunks) }
      })
    })
    parser.on('field', (name, value) => fields.set(/^asset\[(?<key>\w+)\]/u.exec(name)?.groups?.['key'] ?? name, value))
    parser.on('error', refused)
    parser.on('close', () => resolve({ file, fields }))
    request.pipe(parser)
  })
}

/** §8.3: characters a file name may not have become `_`. */
function stored(file: ReceivedFile): Pick<Asset, 'filename' | 'contentType' | 'fileSize' | 'uploadUid' | 'content'> {
  return {
    filename: file.filename.replace(/[^\w.\-() ]/gu, '_'),
    contentType: file.contentType,
    fileSize: file.bytes.length,
    uploadUid: newUid(),
    content: { base64: file.bytes.toString('base64') }
  }
}

function assetGiven(call: Call): Record<string, unknown> {
  const given = call.body['asset']
  return typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : {}
}

function nameGiven(call: Call): string {
  const { name } = assetGiven(call)
  if (typeof name !== 'string' || name === '')
    throw invalidData('Folder creation failed. Please enter valid data.', { name: ['is a required field.'] })
  return name
}

function parentGiven(call: Call, uid: string | undefined): string | null {
  if (uid === undefined || uid === '') return null
  if (assetsOf(call.stack, call.branch)[uid]?.isDir !== true)
    throw invalidData('Asset creation failed. Please enter valid data.', { parent_uid: ['is not valid.'] })
  return uid
}

function tagsIn(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map(tag => tag.trim())
    .filter(tag => tag !== '')
}
