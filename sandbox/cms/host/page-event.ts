// What the page tells the apps in its frames (platform reference §10.4): the host's only messages of its own accord.

/** What may happen around an app, told to it only after it asked (`eventRegistration`). */
export interface PageEvent {
  name:
    | 'entrySave'
    | 'entryChange'
    | 'entryPublish'
    | 'entryUnPublish'
    | 'assetSave'
    | 'assetChange'
    | 'assetPublish'
    | 'assetUnPublish'
    | 'dashboardResize'
    | 'extensionFieldChange'
    | 'contentTypeSave'
  data?: unknown
  otherData?: unknown
  state?: unknown
}
