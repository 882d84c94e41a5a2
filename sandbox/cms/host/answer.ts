// Every message an app may send, and who answers it (platform reference §10.3). One frame, one `answersFor`; the rooms beside
// this file do the work. An unknown message gets an error reply that names it.
import { type AdapterRequest, answerApi } from './api-adapter.ts'
import { initializationData } from './init.ts'
import type { PageEvent } from './page-event.ts'
import type { FramePort, InstallationData, Place } from './place.ts'
import { runStackQuery, type StackQuery } from './stack-query.ts'
import { answerStore } from './store.ts'
import type { Uploads } from './uploads.ts'
import { Refusal } from './wire.ts'

export interface Answers {
  answer: (name: string, data: unknown) => unknown
  /** Whether the app asked for this event. */
  wants: (event: PageEvent['name']) => boolean
}

export function answersFor(place: Place, frame: FramePort, uploads: Uploads, callBack: (name: string) => void): Answers {
  const { app, client, stack, branch, entry, field, asset, configuration } = place
  let registered: string[] = []

  async function configurationOf(): Promise<Record<string, unknown>> {
    const path = `/installations/${app.installationUid}/configuration`
    return (await client.developerHub<{ data: Record<string, unknown> | null }>('GET', path, app.organizationUid)).data ?? {}
  }

  const table: Record<string, (data: never) => unknown> = {
    postrobot_ready: () => ({}),
    init: () => initializationData(place),
    ready: () => ({}),
    getConfig: configurationOf,
    store: (data: Record<string, never>) => answerStore(app.installationUid, data),
    stackQuery: (data: StackQuery) =>
      runStackQuery(data, {
        client,
        branch,
        apiKey: stack.api_key,
        organizationUid: app.organizationUid,
        installationUid: app.installationUid
      }),
    apiAdapter: (data: AdapterRequest) => answerApi(data, place),
    eventRegistration: (data: { events?: string[] }) => {
      // One list per page load: each registration object of the SDK sends its own, so they add up.
      registered = [...new Set([...registered, ...(data.events ?? [])])]
      return {}
    },
    getDraftData: () => entry?.draft() ?? {},
    setData: (data: { uid?: string; data?: unknown; self?: boolean } & Record<string, unknown>) => {
      if (asset) asset.change(data)
      else if (entry) entry.set(data.self && field ? field.uid : (data.uid ?? ''), data.data)
      else throw new Error('This location has nothing to set.')
      return {}
    },
    setTags: (data: { tags?: string[] }) => {
      entry?.set('tags', data.tags ?? [])
      return {}
    },
    focus: () => ({}),
    preventFrameClose: (data: { state?: boolean }) => {
      frame.keepOpen(data.state === true)
      return {}
    },
    closeModal: () => ({}),
    resize: (data: number | { height?: number; width?: number }) => {
      if (typeof data === 'number') frame.resize(data)
      else frame.resize(data.height ?? 0, data.width)
      return {}
    },
    window: () => ({}),
    analytics: () => ({}),
    getInstallationData: () => {
      if (!configuration) throw new Refusal('Installation data is there for the configuration location only.')
      return configuration.read()
    },
    setInstallationData: (data: InstallationData) => {
      if (!configuration) throw new Refusal('Installation data is there for the configuration location only.')
      configuration.stage(data)
      return data
    },
    setValidity: (data: { isValid: boolean; options?: { message?: string } }) => {
      configuration?.validity(data.isValid, data.options?.message)
      return {}
    },
    syncAsset: async () => {
      await asset?.reload()
      return {}
    },
    updateAssetSidebarWidth: (width: number) => {
      frame.resize(0, width)
      return {}
    },
    stackOptionsQuery: (data: { uid?: number }) => {
      callBack(`uploadReady_${data.uid}`)
      return {}
    }
  }

  return {
    answer(name, data) {
      if (/^upload_\d+$/.test(name)) return uploads.outcome(name)
      const handler = Object.hasOwn(table, name) ? table[name] : undefined
      if (!handler) throw new Error(`The sandbox's CMS page knows no message "${name}".`)
      return handler((data ?? {}) as never)
    },
    // The SDK's asset sidebar registers `entryChange` when it means `assetChange` (§10.5).
    wants: event => registered.includes(event) || (event === 'assetChange' && registered.includes('entryChange'))
  }
}
