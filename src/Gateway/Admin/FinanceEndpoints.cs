namespace Qanat.Gateway;

/// <summary>The part of the admin API that finance people use: contracts, costs, invoices, periods, price files, statements.</summary>
internal sealed class FinanceEndpoints(Callers callers, GatewayOptions options, DeclarationApi declarations, ContractApi contracts, CostApi costs, InvoiceApi invoices, PeriodApi periods,
    PriceFileApi priceFiles, StatementApi statements, IngestApi ingest, ExportApi exports)
{
    public void Map(ApiRoutes routes)
    {
        AdminRoutes admin = new(routes, callers, options);
        declarations.Map(admin);
        contracts.Map(admin);
        costs.Map(admin);
        invoices.Map(admin);
        periods.Map(admin);
        statements.Map(admin);
        priceFiles.Map(admin);
        ingest.Map(admin);
        exports.Map(admin);
    }
}
