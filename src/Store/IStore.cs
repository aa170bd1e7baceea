using Qanat.Books;

namespace Qanat.Store;

/// <summary>One database: the books and the documents beside them.</summary>
public interface IStore : IBookStore, IDocumentStore;
