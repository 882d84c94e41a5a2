// Contentstack's data centres as rows of host names. A stack lives in one region; asking another region's hosts for it answers
// as if it did not exist. Further rows (a local sandbox) come from the configuration; nothing here knows which are in use.
// Source: https://artifacts.contentstack.com/regions.json (reference §4).

export interface Region {
  /** 'na', 'azure-eu': stored with each installation. */
  id: string
  /** What OAuth callbacks carry as `location`. */
  location: string
  /** Origins with scheme, without trailing slash. */
  application: string
  contentManagement: string
  developerHub: string
}

export const regions: readonly Region[] = [
  {
    id: 'na',
    location: 'NA',
    application: 'https://app.contentstack.com',
    contentManagement: 'https://api.contentstack.io',
    developerHub: 'https://developerhub-api.contentstack.com'
  },
  prefixed('eu', 'EU'),
  prefixed('au', 'AU'),
  prefixed('azure-na', 'AZURE_NA'),
  prefixed('azure-eu', 'AZURE_EU'),
  prefixed('gcp-na', 'GCP_NA'),
  prefixed('gcp-eu', 'GCP_EU')
]

function prefixed(id: string, location: string): Region {
  return {
    id,
    location,
    application: `https://${id}-app.contentstack.com`,
    contentManagement: `https://${id}-api.contentstack.com`,
    developerHub: `https://${id}-developerhub-api.contentstack.com`
  }
}
