// Files from an app: the app says `stackOptionsQuery {action: "upload_N"}`, the page calls back `uploadReady_N`, the app posts
// its files as a raw message, then asks `upload_N` for the outcome (platform reference §10.3).
import type { Place } from './place.ts'

interface UploadMessage {
  type: string
  upload_type?: string
  files?: File[]
  parentFolderUid?: string
}

export interface Uploads {
  /** A raw message of the frame; anything but an upload is ignored. */
  hear: (data: unknown) => void
  /** The assets of upload `name`, once they are stored. */
  outcome: (name: string) => Promise<unknown>
}

export function createUploads(place: Pick<Place, 'client' | 'stack' | 'branch' | 'asset'>): Uploads {
  const started = new Map<string, { promise: Promise<unknown>; resolve: (value: Promise<unknown>) => void }>()
  const slot = (name: string) => {
    const existing = started.get(name)
    if (existing) return existing
    let resolve: (value: Promise<unknown>) => void = () => {}
    const promise = new Promise<unknown>(settle => {
      resolve = settle
    })
    const made = { promise, resolve }
    started.set(name, made)
    return made
  }

  async function store(message: UploadMessage): Promise<unknown> {
    const replaced = message.upload_type === 'replace' ? place.asset?.current()['uid'] : undefined
    const assets: unknown[] = []
    for (const file of message.files ?? []) {
      const body = new FormData()
      body.set('asset[upload]', file)
      if (message.parentFolderUid) body.set('asset[parent_uid]', message.parentFolderUid)
      const path = typeof replaced === 'string' ? `/assets/${replaced}` : '/assets'
      const { client, stack, branch } = place
      const reply = await client.cma<{ asset: unknown }>(replaced ? 'PUT' : 'POST', path, stack.api_key, { body, branch })
      assets.push(reply.asset)
    }
    if (replaced) await place.asset?.reload()
    return { assets }
  }

  return {
    hear(data) {
      const message = data as UploadMessage | null
      if (typeof message?.type === 'string' && /^upload_\d+$/.test(message.type)) slot(message.type).resolve(store(message))
    },
    outcome: name => slot(name).promise
  }
}
