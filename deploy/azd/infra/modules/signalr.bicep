// Azure SignalR Service in serverless mode, as kaiwa and Azure Functions need it. Keys are switched off.
// サーバーレス モードの SignalR Service です。キー認証は無効にします。

param name string
param location string
param tags object
param principalId string
param clientId string
param allowedOrigins string

// REST API Owner is what kaiwa needs; the bindings of Azure Functions ask for Service Owner.
var roles = [
  'fd53cd77-2268-407a-8f46-7e7863d0f521'
  '7e4f1700-ea5a-4f59-8f37-079cfe29dce3'
]

resource service 'Microsoft.SignalRService/signalR@2023-02-01' = {
  name: name
  location: location
  tags: tags
  kind: 'SignalR'
  sku: {
    name: 'Standard_S1'
    capacity: 1
  }
  properties: {
    cors: { allowedOrigins: empty(allowedOrigins) ? ['*'] : split(allowedOrigins, ',') }
    disableLocalAuth: true
    features: [
      {
        flag: 'ServiceMode'
        value: 'Serverless'
      }
    ]
  }
}

resource speaks 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in roles: {
  name: guid(service.id, principalId, role)
  scope: service
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
  }
}]

output endpoint string = 'https://${service.properties.hostName}'
output connectionString string = 'Endpoint=https://${service.properties.hostName};AuthType=azure.msi;ClientId=${clientId};Version=1.0;'
output connectionStringOfOthers string = 'Endpoint=https://${service.properties.hostName};AuthType=azure;Version=1.0;'
