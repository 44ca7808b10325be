// Reservations in Cosmos DB: database and containers as kaiwa uses them, since a role that reads and writes data may
// not make any. Keys are switched off. / 予約を保存する Cosmos DB です。キー認証は無効にします。

param name string
param location string
param tags object
param principalId string

var databaseName = 'rentacar-db'
var containers = ['locations', 'reservations', 'calendars']
var dataContributor = '00000000-0000-0000-0000-000000000002'

resource account 'Microsoft.DocumentDB/databaseAccounts@2024-05-15' = {
  name: name
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    capabilities: [{ name: 'EnableServerless' }]
    consistencyPolicy: { defaultConsistencyLevel: 'Session' }
    disableLocalAuth: true
    locations: [
      {
        locationName: location
        failoverPriority: 0
      }
    ]
    minimalTlsVersion: 'Tls12'
  }
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2024-05-15' = {
  parent: account
  name: databaseName
  properties: {
    resource: { id: databaseName }
  }
}

resource container 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2024-05-15' = [for each in containers: {
  parent: database
  name: each
  properties: {
    resource: {
      id: each
      partitionKey: {
        kind: 'Hash'
        paths: ['/id']
      }
    }
  }
}]

resource writes 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2024-05-15' = {
  parent: account
  name: guid(account.id, principalId, dataContributor)
  properties: {
    principalId: principalId
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/${dataContributor}'
    scope: account.id
  }
}

output database string = 'cosmos://${name}.documents.azure.com/${databaseName}'
