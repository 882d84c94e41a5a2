// Where a frame stands: the app, the location of its manifest, and what of the page around it the app may see and touch.
// The types that the host's rooms agree on; the pages fill them in.
import type { Client, Session } from '../client.ts'
import type { ContentType, EntryData } from '../entry/draft.ts'
import type { PageEvent } from './page-event.ts'

/** An installed app as `/apps-api/locations` lists it. */
export interface InstalledApp {
  installationUid: string
  appUid: string
  name: string
  version: number
  organizationUid: string
  /** Frozen at install. */
  baseUrl: string
  locations: AppLocation[]
}

export interface AppLocation {
  type: string
  extensionUid: string
  name: string
  path: string
  signed: boolean
  meta: Record<string, unknown>
}

export interface StackDetail {
  api_key: string
  uid: string
  name: string
  org_uid: string
  master_locale: string
  branches: { uid: string }[]
  [other: string]: unknown
}

export interface EntryPort {
  contentType: ContentType
  locale: string
  saved: () => EntryData
  /** Null while nothing differs from what is saved. */
  draft: () => EntryData | null
  set: (path: string, value: unknown) => void
  listen: (hear: (event: PageEvent) => void) => () => void
}

export interface FieldPort {
  uid: string
  schema: Record<string, unknown>
  value: () => unknown
  config: unknown
}

export interface AssetPort {
  current: () => Record<string, unknown>
  change: (part: Record<string, unknown>) => void
  reload: () => Promise<void>
  listen: (hear: (event: PageEvent) => void) => () => void
}

/** The configuration page stages what the app sets; the page's own Save button keeps it. */
export interface ConfigurationPort {
  read: () => Promise<InstallationData>
  stage: (data: InstallationData) => void
  validity: (isValid: boolean, message: string | undefined) => void
}

export interface InstallationData {
  configuration: Record<string, unknown>
  serverConfiguration: Record<string, unknown>
  webhooks?: unknown[]
  uiLocations?: unknown[]
}

export interface FramePort {
  resize: (height: number, width?: number) => void
  keepOpen: (state: boolean) => void
}

export interface Place {
  app: InstalledApp
  location: AppLocation
  client: Client
  session: Session
  stack: StackDetail
  branch: string
  entry?: EntryPort
  field?: FieldPort
  asset?: AssetPort
  configuration?: ConfigurationPort
}
