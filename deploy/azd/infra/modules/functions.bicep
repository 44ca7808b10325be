// The Azure Functions app of deploy/azure-functions/v2, on the Flex Consumption plan. Its Azure OpenAI is kaiwa, which
// has the same addresses: so limits and failover hold for it, and it needs no key of Azure OpenAI.
// Azure Functions アプリです。Azure OpenAI の代わりに kaiwa を呼ぶので、Azure OpenAI のキーは要りません。

param token string
param location string
param tags object
param identityId string
param clientId string
param principalId string
param insightsName string
param vaultUri string
param kaiwaEndpoint string
param chatDeployment string
param signalrEndpoint string
param allowedOrigins string

var blobOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var name = 'func-${token}'

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: 'st${token}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    minimumTlsVersion: 'TLS1_2'
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: storage
  name: 'default'
}

resource packages 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: 'packages'
}

resource stores 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, principalId, blobOwner)
  scope: storage
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobOwner)
  }
}

resource plan 'Microsoft.Web/serverfarms@2023-12-01' = {
  name: 'plan-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2023-12-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'functions' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}packages'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.12'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: 2048
        maximumInstanceCount: 40
      }
    }
    siteConfig: {
      cors: { allowedOrigins: empty(allowedOrigins) ? ['*'] : split(allowedOrigins, ',') }
    }
  }
  dependsOn: [packages, stores]
}

resource settings 'Microsoft.Web/sites/config@2023-12-01' = {
  parent: app
  name: 'appsettings'
  properties: {
    APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
    AzureWebJobsStorage__accountName: storage.name
    AzureWebJobsStorage__clientId: clientId
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureSignalRConnectionString__clientId: clientId
    AzureSignalRConnectionString__credential: 'managedidentity'
    AzureSignalRConnectionString__serviceUri: signalrEndpoint
    AZURE_OPENAI_ENDPOINT: kaiwaEndpoint
    AZURE_OPENAI_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/kaiwa-api-key)'
    AZURE_OPENAI_DEPLOYMENT: chatDeployment
    AZURE_OPENAI_API_VERSION: '2024-10-21'
    FUNCTIONS_BASE_URL: 'https://${name}.azurewebsites.net'
    PYTHON_ENABLE_INIT_INDEXING: '1'
  }
}
